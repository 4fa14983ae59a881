// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// writersLockID is the advisory lock that writers take in turn. During a rotation
// of keys two machines name the same person by different pseudonyms, which no
// unique index could hold together.
const writersLockID = 0x64656c6567617465 // "delegate"

// namesLockID is the class of the advisory locks that [Store.lockNames] takes.
const namesLockID = 0x64656c65 // "dele"

// openPostgres sets the database up; connections are made when it is first used.
// The error quotes nothing of the address, which has a password.
func (s *Store) openPostgres(address string) error {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return errors.New("grants: the address of PostgreSQL cannot be read: write postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	if !isPrivateConnection(config) {
		return errors.New("grants: the connection to PostgreSQL would not be private, or not be with the server that is named (sslmode=verify-ca takes any of the authority): add sslmode=verify-full to its address, and sslrootcert=<file> if its authority is your own")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = s.timeout
	}
	disablePreparedStatements(config)
	s.db = sql.OpenDB(stdlib.GetConnector(*config))
	s.db.SetMaxOpenConns(16)
	s.db.SetMaxIdleConns(4)
	s.db.SetConnMaxIdleTime(5 * time.Minute)
	s.dialect = dialect{
		goose:       "postgres",
		placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		lockWriters: fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(writersLockID)),
		lockName:    fmt.Sprintf("SELECT pg_advisory_xact_lock(%d, hashtext(", namesLockID),
		skipLocked:  " FOR UPDATE SKIP LOCKED",
		nowQuery:    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
		reason:      postgresReason,
		erase:       erasePostgres, truncateLog: truncateLogPostgres,
	}
	return nil
}

// disablePreparedStatements has no statement stay at the server between two calls.
// A pooler in transaction mode (PgBouncer, and most that managed databases have)
// gives each transaction another connection, where the statement is not there, or
// another of its name is (26000, 42P05). Each statement is sent with its values in
// one round trip, as before; that the server plans it anew was measured as 0.2 ms
// for a grant, and 1 to 5 ms for all that a consent writes. An address's
// default_query_exec_mode counts, except for the two modes by which statements
// stay.
func disablePreparedStatements(config *pgx.ConnConfig) {
	switch config.DefaultQueryExecMode {
	case pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec:
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	config.StatementCacheCapacity = 0
}

// isPrivateConnection tells whether nobody on the way can read or answer: the
// connection is TLS to a server of that name, without anything to fall back to, or
// does not leave the machine. sslmode=verify-ca is not enough: any server with a
// certificate of that authority could answer, and with one of the public
// authorities that is everybody.
func isPrivateConnection(c *pgx.ConnConfig) bool {
	secure := func(host string, t *tls.Config) bool {
		return strings.HasPrefix(host, "/") || delegation.IsLoopback(host) || t != nil && !t.InsecureSkipVerify
	}
	if !secure(c.Host, c.TLSConfig) {
		return false
	}
	for _, f := range c.Fallbacks {
		if !secure(f.Host, f.TLSConfig) {
			return false
		}
	}
	return true
}

// postgresReason says why an operation has failed without quoting the server, whose
// messages may hold values. needsOperator is true for what the server says of the
// address, or of its user's rights.
func postgresReason(err error) (text string, needsOperator bool) {
	if errors.Is(err, errInUse) {
		return errInUse.Error(), false
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return reason(err), false
	}
	switch text := "PostgreSQL's error " + e.Code; {
	case strings.HasPrefix(e.Code, "28"):
		return text + ", the user or password is not accepted: check the address", true
	case e.Code == "3D000":
		return text + ", there is no such database: check the address, or create it", true
	case e.Code == "42501", e.Code == "3F000":
		return text + ", the user lacks a right: to make tables it needs GRANT USAGE, CREATE ON SCHEMA public TO it; tables that another user has made need ALTER TABLE … OWNER TO it", true
	case e.Code == "42P05", e.Code == "26000":
		return text + ", a pooler between here and PostgreSQL loses prepared statements: take default_query_exec_mode out of the address", true
	case e.Code == "08P01":
		return text + ", which is a pooler's: its log says more, for one an unknown user or database, or a parameter of the address that it does not take (ignore_startup_parameters)", false
	case e.Code == "57P03":
		return text + ", it is starting or stopping", false
	case e.Code == "55P03":
		return errInUse.Error(), false
	default:
		return text, false
	}
}

// reason says why an operation has failed, for errors of either database that are
// not the server's own.
func reason(err error) string {
	switch {
	case neterror.IsTimeout(err):
		return "it does not answer in time"
	case errors.Is(err, sql.ErrConnDone):
		return "the connection was closed"
	default:
		return "it cannot be reached: " + neterror.Cause(err)
	}
}
