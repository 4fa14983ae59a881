-- +goose Up

-- Whether somebody's account is another's is asked for everybody who has no
-- grant, and at every consent.
CREATE INDEX grants_conflict ON grants (provider, source, person) WHERE state = 'conflict';

-- +goose Down
DROP INDEX grants_conflict;
