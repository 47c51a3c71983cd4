-- The nouns of an account. Times are 100 ns ticks since 1970, name_key is the
-- case-folded name, seq makes every order total.

-- +goose Up
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE accounts (
    seq           INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    subscription  TEXT    NOT NULL,
    resource_group TEXT   NOT NULL,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL UNIQUE,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL
);

CREATE TABLE storage_accounts (
    seq      INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL,
    name_key TEXT    NOT NULL UNIQUE,
    created  INTEGER NOT NULL,
    sealed   BLOB    NOT NULL, -- the keys
    rest     TEXT    NOT NULL
);

CREATE TABLE assets (
    seq             INTEGER PRIMARY KEY,
    account         TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id              TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    name_key        TEXT    NOT NULL,
    label           TEXT    NOT NULL,
    alternate_id    TEXT    NOT NULL,
    storage_account TEXT    NOT NULL,
    container       TEXT    NOT NULL,
    created         INTEGER NOT NULL,
    last_modified   INTEGER NOT NULL,
    rest            TEXT    NOT NULL,
    UNIQUE (account, name_key),
    UNIQUE (account, id),
    UNIQUE (storage_account, container)
);
CREATE INDEX assets_created ON assets (account, created);
CREATE INDEX assets_alternate_id ON assets (account, alternate_id, name_key);

CREATE TABLE transforms (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, name_key)
);

CREATE TABLE jobs (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT    NOT NULL UNIQUE,
    transform     TEXT    NOT NULL, -- empty: a v2 job
    transform_key TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    priority      TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    ended         INTEGER NOT NULL,
    rest          TEXT    NOT NULL
);
-- The names of v2 jobs are labels and may repeat.
CREATE UNIQUE INDEX jobs_name ON jobs (account, transform_key, name_key) WHERE transform_key <> '';
CREATE INDEX jobs_by_name ON jobs (account, transform_key, name_key);
CREATE INDEX jobs_created ON jobs (account, transform_key, created);
CREATE INDEX jobs_last_modified ON jobs (account, transform_key, last_modified);

CREATE TABLE tasks (
    seq        INTEGER PRIMARY KEY,
    job        INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    id         TEXT    NOT NULL UNIQUE,
    position   INTEGER NOT NULL,
    priority   TEXT    NOT NULL,
    rank       INTEGER NOT NULL, -- of the job's priority, then of the task's; the greatest is next
    state      TEXT    NOT NULL,
    progress   REAL    NOT NULL,
    started    INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    attempt    INTEGER NOT NULL, -- fencing number
    worker     TEXT    NOT NULL,
    lease_end  INTEGER NOT NULL,
    not_before INTEGER NOT NULL, -- while Queued: the backoff after a transient failure
    failures   INTEGER NOT NULL, -- attempts that ended in a transient failure
    crashes    INTEGER NOT NULL, -- attempts whose worker vanished
    rest       TEXT    NOT NULL,
    UNIQUE (job, position)
);
CREATE INDEX tasks_queue ON tasks (rank DESC, seq) WHERE state = 'Queued';
CREATE INDEX tasks_waiting ON tasks (not_before) WHERE state = 'Queued';
CREATE INDEX tasks_leased ON tasks (lease_end) WHERE state IN ('Scheduled', 'Processing', 'Canceling');

CREATE TABLE streaming_locators (
    seq       INTEGER PRIMARY KEY,
    account   TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id        TEXT    NOT NULL UNIQUE, -- a streaming URL names nothing else
    name      TEXT    NOT NULL,
    name_key  TEXT    NOT NULL,
    asset     TEXT    NOT NULL,
    asset_key TEXT    NOT NULL,
    policy    TEXT    NOT NULL,
    policy_key TEXT   NOT NULL,
    content_key_policy_key TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time  INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    rest      TEXT    NOT NULL,
    UNIQUE (account, name_key)
);
CREATE INDEX streaming_locators_asset ON streaming_locators (account, asset_key);
CREATE INDEX streaming_locators_policy ON streaming_locators (account, policy_key);
CREATE INDEX streaming_locators_created ON streaming_locators (account, created);
CREATE INDEX streaming_locators_end_time ON streaming_locators (account, end_time);

-- The predefined policies belong to every account: their account is empty.
CREATE TABLE streaming_policies (
    seq      INTEGER PRIMARY KEY,
    account  TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    name_key TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    rest     TEXT    NOT NULL,
    UNIQUE (account, name_key)
);

CREATE TABLE streaming_endpoints (
    seq           INTEGER PRIMARY KEY,
    account       TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    host_name     TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT    NOT NULL,
    UNIQUE (account, name_key)
);

CREATE TABLE operations (
    seq      INTEGER PRIMARY KEY,
    account  TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id       TEXT    NOT NULL UNIQUE,
    kind     TEXT    NOT NULL,
    resource_key TEXT NOT NULL,
    status   TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    rest     TEXT    NOT NULL
);
CREATE INDEX operations_resource ON operations (status, resource_key);
CREATE INDEX operations_ended ON operations (ended);

-- +goose Down
DROP TABLE operations;
DROP TABLE streaming_endpoints;
DROP TABLE streaming_policies;
DROP TABLE streaming_locators;
DROP TABLE tasks;
DROP TABLE jobs;
DROP TABLE transforms;
DROP TABLE assets;
DROP TABLE storage_accounts;
DROP TABLE accounts;
DROP TABLE settings;
