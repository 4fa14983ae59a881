// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// Cache is the Redis in which several machines share tokens, besides the memory
// of each.
type Cache struct {
	// Redis is the URL of a Redis that the machines share, such as
	// rediss://user:password@redis.example.org:6379/0. The schemes
	// redis-cluster and rediss-cluster are for a cluster, with more of its nodes
	// as addr parameters; a master_name parameter makes the hosts Sentinels.
	// Accepts {env.*} and {file.*}. Required.
	Redis string `json:"redis,omitempty"`

	// CAFile is a PEM file of the certificate authorities that may have signed
	// the certificate of Redis. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
}

// sharedFleet is the connection to Redis in the pool. It outlives the
// configurations that leave its settings as they were.
type sharedFleet struct{ *fleet.Fleet }

// Destruct closes the connection.
func (s sharedFleet) Destruct() error { return s.Close() }

// GoString keeps the usage pool from printing the connection when it panics.
func (sharedFleet) GoString() string { return "delegate cache" }

// openCache takes the connection to Redis from the pool, and does not use it
// yet. key is its key there, which names its settings; without a cache the
// fleet is nil and the key empty.
func (p *poolRefs) openCache(c *Cache, keys *keyset.Keyset) (f *fleet.Fleet, key string, err error) {
	if c == nil {
		return nil, "", nil
	}
	options, authorities, err := c.options(keys)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{options.URL, string(authorities), keys.Fingerprint()}, "\x00")))
	key = "cache\x00" + hex.EncodeToString(sum[:])
	value, err := p.tryLoadOrNew(key, func() (caddy.Destructor, error) {
		f, err := fleet.Open(options)
		if err != nil {
			return nil, err
		}
		return sharedFleet{f}, nil
	})
	if err != nil {
		return nil, "", err
	}
	return value.(sharedFleet).Fleet, key, nil
}

// options returns the settings with their placeholders expanded, and the text
// of the file of authorities, which is part of the key in the pool: a pool of
// certificates cannot be read back.
func (c *Cache) options(keys *keyset.Keyset) (o fleet.Options, authorities []byte, err error) {
	if keys == nil {
		return o, nil, errors.New("tokens in Redis are sealed: add `keyset {file.…}` with a file that `caddy delegate keyset generate` made, the same on every machine")
	}
	url, err := expandSetting(caddy.NewReplacer(), c.Redis)
	if err != nil {
		return o, nil, err
	}
	o = fleet.Options{URL: strings.TrimSpace(url), Sealer: keys}
	if c.CAFile == "" {
		return o, nil, nil
	}
	if authorities, err = os.ReadFile(c.CAFile); err != nil {
		return o, nil, fmt.Errorf("ca_file: %w", err)
	}
	if o.RootCAs, err = delegation.LoadCAs(c.CAFile); err != nil {
		return o, nil, fmt.Errorf("ca_file: %w", err)
	}
	return o, authorities, nil
}

// logFleetChanges logs when Redis goes down, at level warn, and when it is back.
// It ends when release is called: the fleet outlives the logger's configuration.
func logFleetChanges(f *fleet.Fleet, logger *zap.Logger) (release func()) {
	return f.OnChange(func(up bool, cause string) {
		if up {
			logger.Info("the shared cache is back; tokens are shared again")
			return
		}
		logger.Warn("the shared cache cannot be used; this machine works for itself until it is back", zap.String("cause", cause))
	})
}

// parseCache reads the setting cache, nil for memory:
//
//	cache memory
//	cache redis <url> {
//	    ca_file <file>
//	}
func parseCache(d *caddyfile.Dispenser) (*Cache, error) {
	if !d.NextArg() {
		return nil, d.Err("cache needs a kind: memory, or redis with its URL")
	}
	switch kind := d.Val(); kind {
	case "memory":
		if d.NextArg() {
			return nil, d.Errf("cache memory takes no %q", d.Val())
		}
		return nil, nil
	case "redis":
	default:
		return nil, d.Errf("unknown kind of cache %q: expected memory or redis", kind)
	}
	c := new(Cache)
	if !d.NextArg() {
		return nil, d.Err("cache redis needs the URL, such as {env.REDIS_URL}")
	}
	c.Redis = d.Val()
	if d.NextArg() {
		return nil, d.Errf("cache redis takes one URL, not %q as well", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "ca_file" {
			return nil, d.Errf("unrecognized subdirective %q of cache redis: expected ca_file", d.Val())
		}
		if err := parseOnce(d, &c.CAFile); err != nil {
			return nil, err
		}
	}
	return c, nil
}
