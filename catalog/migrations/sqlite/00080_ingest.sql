-- Bulk ingest: manifests, the assets in them, and the files that they wait for.

-- +goose Up
CREATE TABLE ingest_manifests (
    seq             INTEGER PRIMARY KEY,
    account         TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id              TEXT    NOT NULL UNIQUE,
    label           TEXT    NOT NULL,
    storage_account TEXT    NOT NULL,
    container       TEXT    NOT NULL,
    watched         INTEGER NOT NULL, -- 0 or 1
    created         INTEGER NOT NULL,
    last_modified   INTEGER NOT NULL,
    rest            TEXT    NOT NULL,
    UNIQUE (account, id),
    UNIQUE (storage_account, container)
);

CREATE TABLE ingest_assets (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL,
    id            TEXT    NOT NULL UNIQUE,
    manifest      TEXT    NOT NULL REFERENCES ingest_manifests (id) ON DELETE CASCADE,
    asset         TEXT    NOT NULL, -- its id; it may be gone
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, id),
    UNIQUE (manifest, asset)
);

CREATE TABLE ingest_files (
    seq                INTEGER PRIMARY KEY,
    account            TEXT    NOT NULL,
    id                 TEXT    NOT NULL UNIQUE,
    manifest           TEXT    NOT NULL REFERENCES ingest_manifests (id) ON DELETE CASCADE,
    ingest_asset       TEXT    NOT NULL REFERENCES ingest_assets (id) ON DELETE CASCADE,
    name               TEXT    NOT NULL,
    state              INTEGER NOT NULL,
    error              TEXT    NOT NULL,
    is_primary         INTEGER NOT NULL, -- 0 or 1
    mime_type          TEXT    NOT NULL,
    is_encrypted       INTEGER NOT NULL, -- 0 or 1
    encryption_version TEXT    NOT NULL,
    encryption_scheme  TEXT    NOT NULL,
    encryption_key     TEXT    NOT NULL,
    iv                 TEXT    NOT NULL,
    created            INTEGER NOT NULL,
    last_modified      INTEGER NOT NULL,
    rest               TEXT    NOT NULL,
    UNIQUE (account, id),
    UNIQUE (manifest, name)
);
CREATE INDEX ingest_files_state ON ingest_files (manifest, state);
CREATE INDEX ingest_files_pending ON ingest_files (state, manifest) WHERE state = 0;
CREATE INDEX ingest_files_asset ON ingest_files (ingest_asset);

-- +goose Down
DROP TABLE ingest_files;
DROP TABLE ingest_assets;
DROP TABLE ingest_manifests;
