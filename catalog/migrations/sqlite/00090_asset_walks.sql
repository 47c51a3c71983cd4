-- Lists of assets in an order of theirs, past what a filter does not want,
-- without reading it.

-- +goose Up
DROP INDEX assets_name_created;
DROP INDEX assets_created;
DROP INDEX assets_label;
CREATE INDEX assets_by_name ON assets (account, name_key, seq, created, alternate_id, label, options);
CREATE INDEX assets_by_created ON assets (account, created, seq, name_key, id, alternate_id, label, options);
CREATE INDEX assets_by_id ON assets (account, id, created, alternate_id, label, options);
CREATE INDEX assets_by_label ON assets (account, label, seq, id, created, alternate_id, options);

-- +goose Down
DROP INDEX assets_by_label;
DROP INDEX assets_by_id;
DROP INDEX assets_by_created;
DROP INDEX assets_by_name;
CREATE INDEX assets_label ON assets (account, label);
CREATE INDEX assets_created ON assets (account, created);
CREATE INDEX assets_name_created ON assets (account, name_key, created);
