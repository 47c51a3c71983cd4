-- The view again, with columns that have one affinity in both parts: else SQLite
-- reads all of it for each question.

-- +goose Up
DROP VIEW v2_locators;
CREATE VIEW v2_locators AS
    SELECT seq * 2 AS seq, account, id, asset, CAST(1 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, rest
    FROM sas_locators
    UNION ALL
    SELECT seq * 2 + 1 AS seq, account, id, asset_id AS asset, CAST(2 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, CAST('{}' AS TEXT) AS rest
    FROM streaming_locators;

-- +goose Down
DROP VIEW v2_locators;
CREATE VIEW v2_locators AS
    SELECT seq * 2 AS seq, account, id, asset, CAST(1 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, rest
    FROM sas_locators
    UNION ALL
    SELECT seq * 2 + 1 AS seq, account, id, asset_id AS asset, CAST(2 AS INTEGER) AS type, access_policy, label, start_time, end_time, bare, created, '{}' AS rest
    FROM streaming_locators;
