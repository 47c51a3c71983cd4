-- Lists of jobs and tasks by v2, job templates and notification endpoints.

-- +goose Up
CREATE INDEX jobs_v2_id ON jobs (account, id);
CREATE INDEX jobs_v2_name ON jobs (account, label, id);
CREATE INDEX jobs_v2_created ON jobs (account, created, id);
CREATE INDEX tasks_v2_id ON tasks (account, id);

-- 1: the task has failed, and its output assets are to be deleted.
ALTER TABLE tasks ADD COLUMN litter INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_litter ON tasks (seq) WHERE litter = 1;

CREATE TABLE job_templates (
    seq           INTEGER PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    kind          INTEGER NOT NULL,
    inputs        INTEGER NOT NULL, -- how many
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT NOT NULL,
    UNIQUE (account, id)
);

-- Their ids are their creators' choice.
CREATE TABLE task_templates (
    seq           INTEGER PRIMARY KEY,
    account       TEXT NOT NULL,
    id            TEXT NOT NULL,
    template      TEXT NOT NULL, -- id of the job template
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    processor     TEXT NOT NULL, -- guid
    inputs        INTEGER NOT NULL, -- how many
    outputs       INTEGER NOT NULL,
    options       INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    rest          TEXT NOT NULL,
    UNIQUE (account, id),
    FOREIGN KEY (account, template) REFERENCES job_templates (account, id) ON DELETE CASCADE
);
CREATE INDEX task_templates_job ON task_templates (account, template, position);

CREATE TABLE notification_endpoints (
    seq     INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id      TEXT NOT NULL,
    name    TEXT NOT NULL,
    kind    INTEGER NOT NULL,
    created INTEGER NOT NULL,
    sealed  BLOB NOT NULL, -- address and signing key
    rest    TEXT NOT NULL,
    UNIQUE (account, id)
);

-- +goose Down
DROP TABLE notification_endpoints;
DROP TABLE task_templates;
DROP TABLE job_templates;
DROP INDEX tasks_litter;
ALTER TABLE tasks DROP COLUMN litter;
DROP INDEX tasks_v2_id;
DROP INDEX jobs_v2_created;
DROP INDEX jobs_v2_name;
DROP INDEX jobs_v2_id;
