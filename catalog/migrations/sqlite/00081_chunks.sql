-- The chunks of tasks that are encoded by several workers.

-- +goose Up
CREATE TABLE chunks (
    task      TEXT    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    mark      TEXT    NOT NULL, -- names the encode: only chunks of one mark fit together
    frames    INTEGER NOT NULL,
    done      INTEGER NOT NULL, -- frames encoded
    finished  INTEGER NOT NULL, -- 0 or 1
    attempt   INTEGER NOT NULL, -- fencing number
    worker    TEXT    NOT NULL, -- empty: nobody has it
    lease_end INTEGER NOT NULL,
    failures  INTEGER NOT NULL, -- workers that could not encode it
    PRIMARY KEY (task, number)
);
CREATE INDEX chunks_open ON chunks (task, number) WHERE finished = 0;

-- +goose Down
DROP TABLE chunks;
