-- +goose Up

-- All of a person, in whatever state: asked for everybody who has no grant, at
-- every consent, and when somebody is forgotten.
CREATE INDEX grants_of_person ON grants (provider, source, person);

-- The order in which operators see them, page by page.
CREATE INDEX grants_created ON grants (created, id);

-- Journeys are sealed together with their tokens from here on. Those under way
-- would not open: they begin anew.
DELETE FROM journeys;

-- +goose Down
DROP INDEX grants_created;
DROP INDEX grants_of_person;
