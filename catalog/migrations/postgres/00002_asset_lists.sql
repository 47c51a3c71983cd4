-- Lists of assets by alternateId in the order of creation, and lists by name
-- that skip what was created too early or too late without reading it.

-- +goose Up
CREATE INDEX assets_alternate_id_created ON assets (account, alternate_id, created, seq);
CREATE INDEX assets_name_created ON assets (account, name_key, created);

-- +goose Down
DROP INDEX assets_name_created;
DROP INDEX assets_alternate_id_created;
