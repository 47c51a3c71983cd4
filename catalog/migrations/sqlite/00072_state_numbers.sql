-- States as v2 numbers them, for who watches jobs asks for those in a state, and
-- lists of jobs past what a filter does not want without reading it.

-- +goose Up
ALTER TABLE jobs ADD COLUMN state_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN state_number INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET state_number = CASE state WHEN 'Scheduled' THEN 1 WHEN 'Processing' THEN 2 WHEN 'Finished' THEN 3 WHEN 'Error' THEN 4 WHEN 'Canceled' THEN 5 WHEN 'Canceling' THEN 6 ELSE 0 END;
UPDATE tasks SET state_number = CASE state WHEN 'Scheduled' THEN 1 WHEN 'Processing' THEN 2 WHEN 'Finished' THEN 3 WHEN 'Error' THEN 4 WHEN 'Canceled' THEN 5 WHEN 'Canceling' THEN 6 ELSE 0 END;
DROP INDEX jobs_v2_id;
DROP INDEX jobs_v2_name;
DROP INDEX jobs_v2_created;
CREATE INDEX jobs_v2_id ON jobs (account, id, state_number, label, created, number);
CREATE INDEX jobs_v2_name ON jobs (account, label, seq, id, state_number, created, number);
CREATE INDEX jobs_v2_created ON jobs (account, created, seq, id, state_number, label, number);
CREATE INDEX jobs_v2_state ON jobs (account, state_number, id);
CREATE INDEX tasks_v2_state ON tasks (account, state_number, id);

-- +goose Down
DROP INDEX tasks_v2_state;
DROP INDEX jobs_v2_state;
DROP INDEX jobs_v2_created;
DROP INDEX jobs_v2_name;
DROP INDEX jobs_v2_id;
CREATE INDEX jobs_v2_id ON jobs (account, id);
CREATE INDEX jobs_v2_name ON jobs (account, label, id);
CREATE INDEX jobs_v2_created ON jobs (account, created, id);
ALTER TABLE tasks DROP COLUMN state_number;
ALTER TABLE jobs DROP COLUMN state_number;
