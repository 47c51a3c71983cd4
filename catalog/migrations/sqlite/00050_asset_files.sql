-- What the v2 API says of assets, and their files.

-- +goose Up
ALTER TABLE assets ADD COLUMN options INTEGER NOT NULL DEFAULT 0;
ALTER TABLE assets ADD COLUMN format_option INTEGER NOT NULL DEFAULT 0;
UPDATE assets SET label = name WHERE label = '';
CREATE INDEX assets_label ON assets (account, label);

CREATE TABLE asset_files (
    seq                INTEGER PRIMARY KEY,
    account            TEXT    NOT NULL,
    id                 TEXT    NOT NULL,
    asset              TEXT    NOT NULL, -- its id
    name               TEXT    NOT NULL,
    size               INTEGER NOT NULL,
    is_primary         INTEGER NOT NULL, -- 0 or 1
    is_encrypted       INTEGER NOT NULL,
    encryption_version TEXT    NOT NULL,
    encryption_scheme  TEXT    NOT NULL,
    encryption_key     TEXT    NOT NULL,
    iv                 TEXT    NOT NULL,
    mime_type          TEXT    NOT NULL,
    checksum           TEXT    NOT NULL,
    options            INTEGER NOT NULL,
    created            INTEGER NOT NULL,
    last_modified      INTEGER NOT NULL,
    rest               TEXT    NOT NULL,
    UNIQUE (account, id),
    UNIQUE (account, asset, name),
    FOREIGN KEY (account, asset) REFERENCES assets (account, id) ON DELETE CASCADE
);

-- Which assets an asset was made from.
CREATE TABLE asset_parents (
    account  TEXT    NOT NULL,
    asset    TEXT    NOT NULL, -- ids
    parent   TEXT    NOT NULL,
    UNIQUE (account, asset, parent),
    FOREIGN KEY (account, asset) REFERENCES assets (account, id) ON DELETE CASCADE,
    FOREIGN KEY (account, parent) REFERENCES assets (account, id) ON DELETE CASCADE
);
CREATE INDEX asset_parents_parent ON asset_parents (account, parent);

-- +goose Down
DROP TABLE asset_parents;
DROP TABLE asset_files;
DROP INDEX assets_label;
ALTER TABLE assets DROP COLUMN format_option;
ALTER TABLE assets DROP COLUMN options;
