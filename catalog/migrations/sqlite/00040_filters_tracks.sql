-- Filters of accounts and assets (asset is empty for the account's), tracks of
-- assets, the host names of streaming endpoints, and the end of jobs.

-- +goose Up
CREATE TABLE manifest_filters (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    asset         TEXT    NOT NULL,
    asset_key     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, asset_key, name_key)
);

CREATE TABLE tracks (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    asset         TEXT    NOT NULL,
    asset_key     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, asset_key, name_key)
);

-- A host name leads to one endpoint of the whole server.
CREATE TABLE endpoint_hosts (
    host     TEXT PRIMARY KEY, -- lower case, without port
    endpoint TEXT NOT NULL REFERENCES streaming_endpoints (id) ON DELETE CASCADE
);
CREATE INDEX endpoint_hosts_endpoint ON endpoint_hosts (endpoint);

CREATE INDEX jobs_ended ON jobs (ended);

-- +goose Down
DROP INDEX jobs_ended;
DROP TABLE endpoint_hosts;
DROP TABLE tracks;
DROP TABLE manifest_filters;
