// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// What outlives a reload, each keyed by what it depends on and nothing else:
//
//   - the quota by project, also where two providers share that
//   - who is which participant, the list among it, by project and mapping
//   - the keys' names by service account
//   - connections by the HTTP settings
//
// A change of scopes, keys or connections so leaves all look-ups as they are.

// account is what is known of a service account.
type account struct {
	delegation.Succession
	accepted atomic.Pointer[string] // fingerprint of the key that the platform accepted last
}

// Close implements [io.Closer]; there is nothing to end.
func (q *quota) Close() error { return nil }

// Close implements [io.Closer].
func (c *connection) Close() error {
	c.close()
	return nil
}

func (c *Config) platformKey() string {
	return delegation.Fingerprint([]string{"platform", c.BaseURL, c.Project})
}

// mapping is a hash over what makes somebody a participant.
func (c *Config) mapping() string {
	return delegation.Fingerprint([]string{
		"mapping", c.BaseURL, c.Project, c.Participant.By, c.Participant.Field, c.Participant.Query, c.Participant.Claim,
	})
}

// open takes what other configurations have left.
func (p *Provider) open(host delegation.Host) {
	c := &p.config
	quota := host.Common(c.platformKey(), func() io.Closer { return newQuota() }).(*quota)
	pins := host.State(c.pinKey(), func() io.Closer { return newPins() }).(*pins)
	p.directory = host.State(p.binding, func() io.Closer {
		d := newDirectory(pins)
		d.quota = quota
		return d
	}).(*directory)
	p.directory.configure(p.traits.Fingerprint)
	p.service = host.State(delegation.Fingerprint([]string{"account", c.BaseURL, c.Account}), func() io.Closer { return new(account) }).(*account)
	if prints := keyFingerprints(c.Keys); p.service.Supersedes(prints[0]) {
		host.Logger().Info("the private key has changed with this configuration: it is used from now on, and what was obtained with the former one is obtained anew",
			zap.String("public_key_sha256", oauth.PublicFingerprint(c.Keys[0])))
	}
	p.key = p.service.Load(keyFingerprints(c.Keys)...)
	http := delegation.Fingerprint([]string{"http"}, c.HTTP.Settings())
	p.client = host.State(http, func() io.Closer { return new(connection) }).(*connection).client(c.HTTP)
}

// configure has what failed tried anew where the settings are other ones: a
// key, an authority or a proxy may have been mended. What was found out stays.
func (d *directory) configure(settings string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settings == settings {
		return
	}
	d.settings = settings
	d.misses.retry()
	d.breaker.Reset()
}

// life is how long a directory works: what nobody waits for ends when no
// configuration uses it any more, reading the list for people who wait when the
// last of them has been answered. They may be waiting in a configuration that a
// reload has replaced, and their look-ups end by a deadline of their own.
type life struct {
	mu         sync.Mutex
	closed     bool
	lookups    int
	unattended work // what nobody waits for
	awaited    work
}

// work is ended by its cancel.
type work struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newWork() work {
	ctx, cancel := context.WithCancel(context.Background())
	return work{ctx, cancel}
}

func newLife() life { return life{unattended: newWork(), awaited: newWork()} }

// lookup begins a look-up and returns how to end it.
func (l *life) lookup() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lookups++
	if l.awaited.ctx.Err() != nil {
		l.awaited = newWork()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lookups--
		l.settle()
	}
}

// reading is the context for reading the list.
func (l *life) reading() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaited.ctx
}

func (l *life) settle() {
	if l.closed && l.lookups == 0 {
		l.awaited.cancel()
	}
}

// over tells whether no configuration uses the directory any more.
func (l *life) over() bool { return l.unattended.ctx.Err() != nil }

func (l *life) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.unattended.cancel()
	l.settle()
}
