-- +goose Up

-- One schema for SQLite and PostgreSQL: both know these names of types.
CREATE TABLE grants (
	id        TEXT    NOT NULL PRIMARY KEY,
	provider  TEXT    NOT NULL,
	source    TEXT    NOT NULL,
	person    TEXT    NOT NULL, -- pseudonym of realm, subject and slot
	account   TEXT    NOT NULL, -- pseudonym of the account at the platform
	state     TEXT    NOT NULL, -- active, suspended, conflict or retired
	owner     BYTEA   NOT NULL, -- sealed: whose it is, for operators
	secret    BYTEA   NOT NULL, -- sealed: what the provider keeps
	sealed_by TEXT    NOT NULL, -- pseudonym of the key
	created   BIGINT  NOT NULL, -- milliseconds since 1970
	changed   BIGINT  NOT NULL
);

-- A person has one grant that counts, and so has an account at the platform.
CREATE UNIQUE INDEX grants_person  ON grants (provider, source, person)  WHERE state IN ('active', 'suspended');
CREATE UNIQUE INDEX grants_account ON grants (provider, source, account) WHERE state IN ('active', 'suspended');
CREATE INDEX grants_sealed_by ON grants (sealed_by);

CREATE TABLE journeys (
	id        TEXT    NOT NULL PRIMARY KEY,
	provider  TEXT    NOT NULL,
	source    TEXT    NOT NULL,
	person    TEXT    NOT NULL,
	link      TEXT    NOT NULL, -- pseudonym of the token that the platform is given
	back      TEXT    NOT NULL, -- pseudonym of the token that the browser comes back with
	browser   TEXT    NOT NULL, -- pseudonym of the token that the browser keeps
	state     TEXT    NOT NULL, -- open, staged or done
	owner     BYTEA   NOT NULL, -- sealed: who set out
	staged    BYTEA   NOT NULL, -- sealed: what the platform said; empty before
	sealed_by TEXT    NOT NULL,
	created   BIGINT  NOT NULL,
	expires   BIGINT  NOT NULL
);

CREATE UNIQUE INDEX journeys_link ON journeys (link);
CREATE UNIQUE INDEX journeys_back ON journeys (back);
CREATE INDEX journeys_person  ON journeys (provider, source, person);
CREATE INDEX journeys_expires ON journeys (expires);

-- What operators have decided. It names nobody.
CREATE TABLE decisions (
	id      TEXT   NOT NULL PRIMARY KEY,
	at      BIGINT NOT NULL,
	action  TEXT   NOT NULL, -- release, move, delete or reseal
	subject TEXT   NOT NULL, -- the id of a grant
	by      TEXT   NOT NULL  -- the account on the machine
);

-- +goose Down
DROP TABLE decisions;
DROP TABLE journeys;
DROP TABLE grants;
