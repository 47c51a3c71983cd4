-- The chunks of tasks that are encoded by several workers.

-- +goose Up
CREATE TABLE chunks (
    task      TEXT COLLATE "C" NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number    BIGINT NOT NULL,
    mark      TEXT COLLATE "C" NOT NULL, -- names the encode: only chunks of one mark fit together
    frames    BIGINT NOT NULL,
    done      BIGINT NOT NULL, -- frames encoded
    finished  BIGINT NOT NULL, -- 0 or 1
    attempt   BIGINT NOT NULL, -- fencing number
    worker    TEXT COLLATE "C" NOT NULL, -- empty: nobody has it
    lease_end BIGINT NOT NULL,
    failures  BIGINT NOT NULL, -- workers that could not encode it
    PRIMARY KEY (task, number)
);
CREATE INDEX chunks_open ON chunks (task, number) WHERE finished = 0;

-- +goose Down
DROP TABLE chunks;
