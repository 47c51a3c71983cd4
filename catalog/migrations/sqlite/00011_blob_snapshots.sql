-- Snapshots of blobs, and the settings of storage accounts.

-- +goose Up
CREATE TABLE blob_snapshots (
    seq           INTEGER PRIMARY KEY,
    container     INTEGER NOT NULL REFERENCES blob_containers (seq) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    snapshot      TEXT    NOT NULL, -- its time, which sorts as text
    size          INTEGER NOT NULL,
    etag          TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    extents       TEXT    NOT NULL,
    blocks        TEXT    NOT NULL,
    UNIQUE (container, name, snapshot)
);

CREATE TABLE blob_services (
    account    TEXT PRIMARY KEY, -- name of the storage account
    properties TEXT NOT NULL
);

-- +goose Down
DROP TABLE blob_services;
DROP TABLE blob_snapshots;
