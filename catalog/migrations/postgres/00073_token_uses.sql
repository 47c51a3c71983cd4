-- How often tokens were used that may be used so often, by all servers together.

-- +goose Up
CREATE TABLE token_uses (
    token BYTEA  NOT NULL PRIMARY KEY, -- SHA-256 of what is signed
    uses  BIGINT NOT NULL,
    until BIGINT NOT NULL -- the token is of no use from then on
);
CREATE INDEX token_uses_until ON token_uses (until);

-- +goose Down
DROP TABLE token_uses;
