-- What SQLite's json_extract finds for a path like $.a.b, as text. A document that
-- cannot be read, such as one with the character U+0000, has nothing.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION json_extract(doc TEXT, path TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN doc::jsonb #>> string_to_array(substr(path, 3), '.');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION json_extract(TEXT, TEXT);
