// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/permission"
)

// busyTimeout is how long a writer waits for another program, in milliseconds: as
// long as an operation may take. SQLite does not look at a context's deadline while
// it waits.
func (s *Store) busyTimeout() string { return strconv.FormatInt(s.timeout.Milliseconds(), 10) }

// openSQLite opens a database file, and makes it for its owner alone if there is
// none. The error is about the file and its folder.
func (s *Store) openSQLite(file string) error {
	if file == "" {
		return errors.New("grants: no file is named")
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making the folder of the grants: %w", err)
	}
	// Locks and the shared memory of the log do not work across machines: two
	// of them would damage the file.
	if kind, err := networkFilesystem(folder); err != nil {
		return fmt.Errorf("finding out where the grants are kept: %w", err)
	} else if kind != "" {
		return fmt.Errorf("%s is on %s, where SQLite can lose what it keeps: name a folder of this machine, or use `grants postgres`", folder, kind)
	}
	// Made here because of its mode, which SQLite gives to its log as well.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the grants: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("opening the grants: %w", err)
	}
	// A copy or a restored backup may have been open to everybody.
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		exposed, err := permission.Restrict(name)
		if err != nil {
			return fmt.Errorf("opening the grants: %w", err)
		}
		if exposed {
			s.warn("a file of the grants could be opened by every user of this machine: it is for this one alone now; its backups may be open too", errors.New(name))
		}
	}
	settings := url.Values{
		"_txlock": {"immediate"}, // two that read first and write then would both wait in vain
		"_pragma": {
			"busy_timeout(" + s.busyTimeout() + ")", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"secure_delete(1)", "temp_store(2)", // nothing deleted stays in a page, and nothing is written beside the file
			"cache_size(-8000)", // KiB of each connection: a million grants' indexes, but for their leaves
		},
	}
	s.db, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: file, RawQuery: settings.Encode()}).String())
	if err != nil {
		return fmt.Errorf("opening the grants: %w", err)
	}
	s.db.SetMaxOpenConns(8)
	s.dialect = dialect{
		goose:       "sqlite3",
		placeholder: func(int) string { return "?" },
		reason:      sqliteReason,
		erase:       eraseSQLite, truncateLog: truncateLogSQLite,
	}
	return nil
}

// sqliteReason says why an operation has failed without quoting values.
// needsOperator is true for what only a change of files or settings mends.
func sqliteReason(err error) (text string, needsOperator bool) {
	if errors.Is(err, errInUse) {
		return errInUse.Error(), false
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return reason(err), false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another program holds it locked", false
	case sqlite3.SQLITE_FULL:
		return "the disk is full", false
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return "it may not be written to: check the file and its folder", true
	case sqlite3.SQLITE_IOERR:
		return "reading or writing the disk failed", false
	case sqlite3.SQLITE_NOTADB:
		return "the file is damaged, or no database: put back a backup", true
	case sqlite3.SQLITE_CORRUPT:
		return "the file is damaged, or no database: put back a backup", false
	default:
		return fmt.Sprintf("SQLite's error %d", e.Code()), false
	}
}
