-- Content key policies, and the keys of streaming locators.

-- +goose Up
CREATE TABLE content_key_policies (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    sealed        BLOB    NOT NULL, -- the options, which hold secrets
    rest          TEXT    NOT NULL,
    UNIQUE (account, name_key)
);

CREATE TABLE content_keys (
    seq        INTEGER PRIMARY KEY,
    account    TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    locator    TEXT    NOT NULL REFERENCES streaming_locators (id) ON DELETE CASCADE,
    id         TEXT    NOT NULL, -- locators may share a key
    scheme     TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    policy     TEXT    NOT NULL, -- content key policy
    policy_key TEXT    NOT NULL,
    sealed     BLOB    NOT NULL, -- the value
    rest       TEXT    NOT NULL,
    UNIQUE (locator, scheme, label)
);
CREATE INDEX content_keys_id ON content_keys (id);
CREATE INDEX content_keys_policy ON content_keys (account, policy_key);
CREATE INDEX streaming_locators_content_key_policy ON streaming_locators (account, content_key_policy_key);

-- +goose Down
DROP INDEX streaming_locators_content_key_policy;
DROP TABLE content_keys;
DROP TABLE content_key_policies;
