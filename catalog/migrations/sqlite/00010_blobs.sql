-- Containers, blobs and staged blocks. Names compare by their bytes. Times
-- are 100 ns ticks since 1970.

-- +goose Up
CREATE TABLE blob_containers (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL, -- name of the storage account
    name          TEXT    NOT NULL,
    etag          TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, name)
);

-- extents and blocks come last: a list of blobs does not read them.
CREATE TABLE blobs (
    seq           INTEGER PRIMARY KEY,
    container     INTEGER NOT NULL REFERENCES blob_containers (seq) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    etag          TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    scattered     INTEGER NOT NULL, -- 1: the bytes are not one ordinary file
    rest          TEXT    NOT NULL,
    extents       TEXT    NOT NULL,
    blocks        TEXT    NOT NULL,
    UNIQUE (container, name)
);
CREATE INDEX blobs_scattered ON blobs (container) WHERE scattered = 1;

CREATE TABLE blob_blocks (
    seq       INTEGER PRIMARY KEY,
    container INTEGER NOT NULL REFERENCES blob_containers (seq) ON DELETE CASCADE,
    blob      TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    position  INTEGER NOT NULL, -- counts the blob's stagings since its last commit
    size      INTEGER NOT NULL,
    crc64     INTEGER NOT NULL, -- as a signed number
    file      TEXT    NOT NULL,
    staged    INTEGER NOT NULL,
    UNIQUE (container, blob, id)
);
CREATE UNIQUE INDEX blob_blocks_position ON blob_blocks (container, blob, position);
CREATE INDEX blob_blocks_staged ON blob_blocks (staged);

-- +goose Down
DROP TABLE blob_blocks;
DROP TABLE blobs;
DROP TABLE blob_containers;
