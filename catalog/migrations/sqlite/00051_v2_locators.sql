-- The v2 API's access policies and locators. A SAS locator has a row of its
-- own; an OnDemandOrigin locator is a streaming locator.

-- +goose Up
CREATE TABLE access_policies (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    minutes       REAL    NOT NULL,
    permissions   INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, id)
);
CREATE INDEX access_policies_name ON access_policies (account, name);

CREATE TABLE sas_locators (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL,
    id            TEXT    NOT NULL UNIQUE, -- no streaming locator has it
    asset         TEXT    NOT NULL, -- its id
    access_policy TEXT    NOT NULL, -- its id
    label         TEXT    NOT NULL, -- the v2 Name
    start_time    INTEGER NOT NULL,
    end_time      INTEGER NOT NULL,
    bare          INTEGER NOT NULL, -- 1: the client named no time zone
    created       INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    FOREIGN KEY (account, asset) REFERENCES assets (account, id) ON DELETE CASCADE
);
CREATE INDEX sas_locators_asset ON sas_locators (account, asset);
CREATE INDEX sas_locators_id ON sas_locators (account, id);

ALTER TABLE streaming_locators ADD COLUMN asset_id TEXT NOT NULL DEFAULT '';
ALTER TABLE streaming_locators ADD COLUMN access_policy TEXT NOT NULL DEFAULT '';
ALTER TABLE streaming_locators ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE streaming_locators ADD COLUMN bare INTEGER NOT NULL DEFAULT 0;
UPDATE streaming_locators SET label = name, asset_id = COALESCE(
    (SELECT id FROM assets WHERE assets.account = streaming_locators.account AND name_key = asset_key), '');
CREATE INDEX streaming_locators_asset_id ON streaming_locators (account, asset_id);
CREATE INDEX streaming_locators_id ON streaming_locators (account, id);

CREATE VIEW v2_locators AS
    SELECT seq * 2 AS seq, account, id, asset, CAST(1 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, rest
    FROM sas_locators
    UNION ALL
    SELECT seq * 2 + 1 AS seq, account, id, asset_id AS asset, CAST(2 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, '{}' AS rest
    FROM streaming_locators;

-- +goose Down
DROP VIEW v2_locators;
DROP INDEX streaming_locators_id;
DROP INDEX streaming_locators_asset_id;
ALTER TABLE streaming_locators DROP COLUMN bare;
ALTER TABLE streaming_locators DROP COLUMN label;
ALTER TABLE streaming_locators DROP COLUMN access_policy;
ALTER TABLE streaming_locators DROP COLUMN asset_id;
DROP TABLE sas_locators;
DROP TABLE access_policies;
