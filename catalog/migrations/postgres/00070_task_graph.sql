-- What v2 shows of jobs and tasks, and tasks that need others of their job.

-- +goose Up
ALTER TABLE jobs ADD COLUMN label TEXT COLLATE "C" NOT NULL DEFAULT ''; -- the v2 Name
ALTER TABLE jobs ADD COLUMN number BIGINT NOT NULL DEFAULT 0; -- the v2 Priority
ALTER TABLE jobs ADD COLUMN template TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE jobs SET label = name, number = CASE priority WHEN 'High' THEN 1 WHEN 'Low' THEN -1 ELSE 0 END;

ALTER TABLE tasks ADD COLUMN account TEXT COLLATE "C" NOT NULL DEFAULT ''; -- of the job
ALTER TABLE tasks ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT ''; -- the v2 Name
ALTER TABLE tasks ADD COLUMN processor TEXT COLLATE "C" NOT NULL DEFAULT ''; -- guid
ALTER TABLE tasks ADD COLUMN number BIGINT NOT NULL DEFAULT 0; -- the v2 Priority
ALTER TABLE tasks ADD COLUMN waits BIGINT NOT NULL DEFAULT 0; -- tasks of the job that it needs and that are not Finished
UPDATE tasks SET
    account = (SELECT account FROM jobs WHERE jobs.seq = tasks.job),
    number = CASE priority WHEN 'High' THEN 1 WHEN 'Low' THEN -1 ELSE 0 END,
    rank = 4294967296 * (SELECT number FROM jobs WHERE jobs.seq = tasks.job) + CASE priority WHEN 'High' THEN 1 WHEN 'Low' THEN -1 ELSE 0 END;

DROP INDEX tasks_queue;
CREATE INDEX tasks_queue ON tasks (rank DESC, seq) WHERE state = 'Queued' AND waits = 0;

-- +goose Down
DROP INDEX tasks_queue;
CREATE INDEX tasks_queue ON tasks (rank DESC, seq) WHERE state = 'Queued';
ALTER TABLE tasks DROP COLUMN waits;
ALTER TABLE tasks DROP COLUMN number;
ALTER TABLE tasks DROP COLUMN processor;
ALTER TABLE tasks DROP COLUMN name;
ALTER TABLE tasks DROP COLUMN account;
ALTER TABLE jobs DROP COLUMN template;
ALTER TABLE jobs DROP COLUMN number;
ALTER TABLE jobs DROP COLUMN label;
