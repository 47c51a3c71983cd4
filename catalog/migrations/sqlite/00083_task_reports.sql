-- What workers did in their attempts at tasks.

-- +goose Up
CREATE TABLE task_reports (
    task    TEXT    NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    body    BLOB    NOT NULL, -- JSON, compressed by gzip
    PRIMARY KEY (task, attempt)
);

-- +goose Down
DROP TABLE task_reports;
