-- Content keys of an account, which v2 makes and links to assets, the options of
-- content key policies as entities of their own, and delivery policies.

-- +goose Up
ALTER TABLE content_key_policies ADD COLUMN label TEXT NOT NULL DEFAULT ''; -- the v2 Name
UPDATE content_key_policies SET label = name;

CREATE TABLE account_keys (
    seq            INTEGER PRIMARY KEY,
    account        TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id             TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    type           INTEGER NOT NULL,
    policy         TEXT    NOT NULL, -- id of a content key policy; empty: none
    protection_key TEXT    NOT NULL,
    checksum       TEXT    NOT NULL,
    created        INTEGER NOT NULL,
    last_modified  INTEGER NOT NULL,
    sealed         BLOB    NOT NULL, -- the value
    rest           TEXT    NOT NULL,
    UNIQUE (account, id)
);
CREATE INDEX account_keys_id ON account_keys (id);
CREATE INDEX account_keys_policy ON account_keys (account, policy);

CREATE TABLE asset_keys (
    seq     INTEGER PRIMARY KEY,
    account TEXT    NOT NULL,
    asset   TEXT    NOT NULL, -- ids
    id      TEXT    NOT NULL,
    UNIQUE (account, asset, id),
    FOREIGN KEY (account, asset) REFERENCES assets (account, id) ON DELETE CASCADE,
    FOREIGN KEY (account, id) REFERENCES account_keys (account, id) ON DELETE CASCADE
);
CREATE INDEX asset_keys_id ON asset_keys (account, id);

-- All keys that v2 shows: those of locators too, each once.
CREATE VIEW all_keys AS
SELECT seq * 2 AS seq, account, id, name, type, policy, protection_key, checksum, created, last_modified, 0 AS of_locator, sealed, rest
FROM account_keys
UNION ALL
SELECT k.seq * 2 + 1, k.account, k.id, '', CASE k.scheme WHEN 'EnvelopeEncryption' THEN 4 WHEN 'CommonEncryptionCbcs' THEN 6 ELSE 0 END,
    COALESCE((SELECT p.id FROM content_key_policies p WHERE p.account = k.account AND p.name_key = k.policy_key), ''),
    '', '', l.created, l.created, 1, k.sealed, '{}'
FROM content_keys k JOIN streaming_locators l ON l.id = k.locator
WHERE NOT EXISTS (SELECT 1 FROM account_keys a WHERE a.account = k.account AND a.id = k.id)
    AND NOT EXISTS (SELECT 1 FROM content_keys e WHERE e.id = k.id AND e.account = k.account AND e.seq < k.seq);

CREATE TABLE policy_options (
    seq        INTEGER PRIMARY KEY,
    account    TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id         TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    delivery   INTEGER NOT NULL, -- v2 KeyDeliveryType
    bound      INTEGER NOT NULL, -- 1: gone with the last policy that has it
    sealed     BLOB    NOT NULL, -- the option, which holds secrets
    rest       TEXT    NOT NULL,
    UNIQUE (account, id)
);

-- The options that each policy has.
CREATE TABLE policy_option_links (
    account   TEXT    NOT NULL,
    policy    TEXT    NOT NULL REFERENCES content_key_policies (id) ON DELETE CASCADE,
    id        TEXT    NOT NULL,
    UNIQUE (policy, id),
    FOREIGN KEY (account, id) REFERENCES policy_options (account, id) ON DELETE CASCADE
);
CREATE INDEX policy_option_links_id ON policy_option_links (account, id);

CREATE TABLE delivery_policies (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    protocols     INTEGER NOT NULL, -- bits
    type          INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, id)
);

CREATE TABLE asset_delivery_policies (
    seq     INTEGER PRIMARY KEY,
    account TEXT    NOT NULL,
    asset   TEXT    NOT NULL, -- ids
    id      TEXT    NOT NULL,
    UNIQUE (account, asset, id),
    FOREIGN KEY (account, asset) REFERENCES assets (account, id) ON DELETE CASCADE,
    FOREIGN KEY (account, id) REFERENCES delivery_policies (account, id) ON DELETE CASCADE
);
CREATE INDEX asset_delivery_policies_id ON asset_delivery_policies (account, id);

-- +goose Down
DROP TABLE asset_delivery_policies;
DROP TABLE delivery_policies;
DROP TABLE policy_option_links;
DROP TABLE policy_options;
DROP VIEW all_keys;
DROP TABLE asset_keys;
DROP TABLE account_keys;
ALTER TABLE content_key_policies DROP COLUMN label;
