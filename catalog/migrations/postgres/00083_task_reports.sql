-- What workers did in their attempts at tasks.

-- +goose Up
CREATE TABLE task_reports (
    task    TEXT COLLATE "C" NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    body    BYTEA  NOT NULL, -- JSON, compressed by gzip
    PRIMARY KEY (task, attempt)
);

-- +goose Down
DROP TABLE task_reports;
