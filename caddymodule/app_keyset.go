// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/permission"
)

// openKeyset reads the setting keyset, a placeholder or the JSON text itself;
// nil if it is empty.
func openKeyset(setting string) (*keyset.Keyset, error) {
	if setting == "" {
		return nil, nil
	}
	text := setting
	if strings.HasPrefix(setting, "{env.") || strings.HasPrefix(setting, "{file.") {
		warnExposedFile(setting)
		var err error
		if text, err = expandSetting(caddy.NewReplacer(), setting); err != nil {
			return nil, err
		}
	}
	text, _ = delegation.TrimSecret(text) // white space and quotes around JSON show in its parsing
	return keyset.Parse(text)
}

// keysetName is the name of the keyset's file in the folder of an SQLite
// database, where the setting keyset is empty.
const keysetName = "keyset.json"

// keysetFile is the path of the keyset beside an SQLite database.
func keysetFile(database string) string { return filepath.Join(filepath.Dir(database), keysetName) }

// keysetFingerprint tells one keyset from another: of the setting, or of the
// file beside the database, so that a reload after a rotation uses what the file
// holds then. It is empty while the file does not exist or cannot be read.
func keysetFingerprint(keys *keyset.Keyset, database string) string {
	if keys == nil {
		text, err := os.ReadFile(keysetFile(database))
		if err != nil {
			return ""
		}
		if keys, err = keyset.Parse(string(text)); err != nil {
			return "" // opening the grants reports it
		}
	}
	return keys.Fingerprint()
}

// loadOrCreateKeyset reads the keyset beside an SQLite database. It makes one
// only before there is a database: what another keyset has sealed a new one
// does not open, so that a lost file has to come back from a backup.
func loadOrCreateKeyset(database string) (*keyset.Keyset, error) {
	file := keysetFile(database)
	text, err := os.ReadFile(file)
	if err == nil {
		keys, err := keyset.Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		exposed, err := permission.Restrict(file)
		if exposed {
			caddy.Log().Named("delegate").Warn("the keyset of the grants could be opened by every user of this machine: rotate it, unless you trust them all", zap.String("file", file))
		}
		return keys, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	if _, err := os.Lstat(database); err == nil {
		return nil, fmt.Errorf("%s is gone, and %s cannot be read without: put back the file from your backup", file, database)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the grants: %w", err)
	}
	keys, err := keyset.Generate()
	if err != nil {
		return nil, err
	}
	if err := keys.Create(file); err != nil {
		return nil, err
	}
	caddy.Log().Named("delegate").Info("made a keyset for the grants: back it up, nothing of them can be read without", zap.String("file", file))
	return keys, nil
}
