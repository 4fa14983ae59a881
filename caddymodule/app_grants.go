// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/permission"
)

// Grants is where it is kept what people have consented to, for providers that
// need it. Default: `delegate/grants.db` in Caddy's data directory.
type Grants struct {
	// SQLite is a file on this machine.
	SQLite string `json:"sqlite,omitempty"`

	// Postgres is the address of a PostgreSQL that several machines share, such
	// as postgres://user:password@host/database?sslmode=verify-full. Accepts
	// {env.*} and {file.*}.
	Postgres string `json:"postgres,omitempty"`
}

// loadGrants takes the store from the pool, without opening it yet.
func (a *App) loadGrants(keys *keyset.Keyset) error {
	o, err := a.Grants.sealedOptions(keys)
	if err != nil {
		return err
	}
	name := []string{"grants", o.Postgres, o.File, keysetFingerprint(keys, o.File)}
	sum := sha256.Sum256([]byte(strings.Join(name, "\x00")))
	a.grantStore = a.refs.loadOrNew("grants\x00"+hex.EncodeToString(sum[:]), func() caddy.Destructor {
		o.Warn = warnGrants
		return newPooledGrants(grants.NewLazyStore(o.File, func() (grants.Options, error) {
			if o.Keyset != nil {
				return o, nil
			}
			// Whoever has only one machine need not think of it.
			o := o
			made, err := loadOrCreateKeyset(o.File)
			o.Keyset = made
			return o, err
		}).OnChange(logGrantsState))
	}).(*pooledGrants).LazyStore
	return nil
}

// The store outlives configurations, so it has none of their loggers.

func warnGrants(what string, err error) { caddy.Log().Named("delegate").Warn(what, zap.Error(err)) }

func logGrantsState(err error) {
	if err == nil {
		caddy.Log().Named("delegate").Info("the grants are open")
		return
	}
	caddy.Log().Named("delegate").Error(grantsUnavailable, zap.Error(err))
}

const grantsUnavailable = "the grants cannot be used: requests that need them are answered grants_unavailable until they can; it is tried again by itself"

// grantsStartTimeout is how long a load waits for the grants: a database that does
// not answer must not keep all sites from starting.
const grantsStartTimeout = 6 * time.Second

// startGrants opens the grants if a provider needs them. Only what somebody has
// to change refuses the load: settings, keyset or program. A database that is
// away is the trouble of those requests that need it.
func (a *App) startGrants() error {
	for _, name := range slices.Sorted(maps.Keys(a.providers)) {
		if !a.providers[name].host.usesGrants {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), grantsStartTimeout)
		defer cancel()
		switch store, err := a.grantStore.Store(ctx); {
		case err == nil:
			a.warnOrphanedGrants(ctx, store)
		case grants.NeedsOperator(err):
			return fmt.Errorf("the grants of provider %s: %w", name, err)
		default:
			a.logger.Warn(grantsUnavailable+"; see that the database runs, and can be reached from here", zap.String("provider", name), zap.Error(err))
		}
		return nil // they are the same for all
	}
	return nil
}

// keysetFingerprint changes when the keyset does, also the one beside the database:
// a reload after a rotation has to use what the file holds now. Before it is
// made, and for who may not read it, there is none.
func keysetFingerprint(keys *keyset.Keyset, database string) string {
	if keys == nil {
		text, err := os.ReadFile(keysetFile(database))
		if err != nil {
			return ""
		}
		if keys, err = keyset.Parse(string(text)); err != nil {
			return "" // opening the grants says why
		}
	}
	return keys.Fingerprint()
}

// sealedOptions are the settings with the keyset; without one if it is the file beside
// the database.
func (g *Grants) sealedOptions(keys *keyset.Keyset) (grants.Options, error) {
	o, err := g.options()
	if err != nil {
		return o, err
	}
	if keys != nil {
		o.Keyset = keys // not a nil that looks like one
	} else if o.Postgres != "" {
		return o, errors.New("grants in PostgreSQL are sealed by keys that all machines have: add `keyset {file.…}` with a file that `caddy delegate keyset generate` made")
	}
	return o, nil
}

// options are the settings, expanded.
func (g *Grants) options() (o grants.Options, err error) {
	repl := caddy.NewReplacer()
	switch {
	case g != nil && g.SQLite != "" && g.Postgres != "":
		return o, errors.New("choose one of sqlite and postgres")
	case g != nil && g.Postgres != "":
		o.Postgres, err = expandSetting(repl, g.Postgres)
		o.Postgres = strings.TrimSpace(o.Postgres)
		return o, err
	case g != nil && g.SQLite != "":
		o.File, err = expandSetting(repl, g.SQLite)
	default:
		o.File = filepath.Join(caddy.AppDataDir(), "delegate", "grants.db")
	}
	if err != nil {
		return o, err
	}
	o.File, err = filepath.Abs(o.File)
	return o, err
}

// keysetName is the file beside a database of one machine.
const keysetName = "keyset.json"

func keysetFile(database string) string { return filepath.Join(filepath.Dir(database), keysetName) }

// loadOrCreateKeyset reads the keyset beside the database. It is made with the
// database, and never after: a new one would not open what is there.
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

// parseGrants reads:
//
//	grants sqlite   <file>
//	grants postgres <address>
func parseGrants(d *caddyfile.Dispenser) (*Grants, error) {
	if !d.NextArg() {
		return nil, d.Err("grants needs a kind: sqlite with its file, or postgres with its address")
	}
	g, kind := new(Grants), d.Val()
	to := map[string]*string{"sqlite": &g.SQLite, "postgres": &g.Postgres}[kind]
	if to == nil {
		return nil, d.Errf("unknown kind of grants %q: expected sqlite or postgres", kind)
	}
	return g, parseOnce(d, to)
}
