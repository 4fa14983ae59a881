// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// Grants is the database of people's consents, for the providers that need one.
// Default: SQLite, `delegate/grants.db` in Caddy's data directory.
type Grants struct {
	// SQLite is a file on this machine. Accepts {env.*} and {file.*}.
	SQLite string `json:"sqlite,omitempty"`

	// Postgres is the address of a PostgreSQL that several machines share, such
	// as postgres://user:password@host/database?sslmode=verify-full. Accepts
	// {env.*} and {file.*}.
	Postgres string `json:"postgres,omitempty"`
}

// loadGrants takes the store from the pool, and does not open it yet.
func (a *App) loadGrants(keys *keyset.Keyset) error {
	o, err := a.Grants.sealedOptions(keys)
	if err != nil {
		return err
	}
	settings := []string{"grants", o.Postgres, o.File, keysetFingerprint(keys, o.File)}
	sum := sha256.Sum256([]byte(strings.Join(settings, "\x00")))
	a.grantStore = a.refs.loadOrNew("grants\x00"+hex.EncodeToString(sum[:]), func() caddy.Destructor {
		o.Warn = warnGrants
		return newPooledGrants(grants.NewLazyStore(o.File, func() (grants.Options, error) {
			if o.Keyset != nil {
				return o, nil
			}
			// On one machine nobody has to make a keyset.
			o := o
			made, err := loadOrCreateKeyset(o.File)
			o.Keyset = made
			return o, err
		}).OnChange(logGrantsState))
	}).(*pooledGrants).LazyStore
	return nil
}

// warnGrants is the log of the store, which outlives configurations: it is
// Caddy's own and no configuration's.
func warnGrants(what string, err error) { caddy.Log().Named("delegate").Warn(what, zap.Error(err)) }

// logGrantsState logs that the store was opened, if err is nil, or why it cannot
// be. Like [warnGrants] it has Caddy's own log.
func logGrantsState(err error) {
	if err == nil {
		caddy.Log().Named("delegate").Info("the grants are open")
		return
	}
	caddy.Log().Named("delegate").Error(grantsUnavailable, zap.Error(err))
}

// grantsUnavailable is the log line of a store that cannot be opened.
const grantsUnavailable = "the grants cannot be used: requests that need them are answered grants_unavailable until they can; it is tried again by itself"

// grantsStartTimeout is how long a load waits for the grants: a database that
// does not answer must not keep all sites from starting.
const grantsStartTimeout = 6 * time.Second

// startGrants opens the grants if a provider uses them. Only an error that the
// operator has to mend refuses the load: of settings, keyset or program. While
// the database cannot be reached, those requests fail that need it.
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
		return nil // all providers use the same store
	}
	return nil
}

// sealedOptions returns [Grants.options] with the keyset. It is nil where the
// keyset is the file beside the SQLite database.
func (g *Grants) sealedOptions(keys *keyset.Keyset) (grants.Options, error) {
	o, err := g.options()
	if err != nil {
		return o, err
	}
	if keys != nil {
		o.Keyset = keys // an interface: a nil pointer in it would not be nil
	} else if o.Postgres != "" {
		return o, errors.New("grants in PostgreSQL are sealed by keys that all machines have: add `keyset {file.…}` with a file that `caddy delegate keyset generate` made")
	}
	return o, nil
}

// options returns the settings with their placeholders expanded, and the path
// of the SQLite database absolute. A nil Grants is the default.
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
