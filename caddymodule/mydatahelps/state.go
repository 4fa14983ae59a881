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

// serviceAccountState is what is known of a service account.
type serviceAccountState struct {
	delegation.KeyRotation
	accepted atomic.Pointer[string] // fingerprint of the key that the platform accepted last
}

// Close implements [io.Closer]; there is nothing to end.
func (q *quota) Close() error { return nil }

// Close implements [io.Closer].
func (c *sharedClient) Close() error {
	c.close()
	return nil
}

func (c *Config) platformKey() string {
	return delegation.Fingerprint([]string{"platform", c.BaseURL, c.Project})
}

// mappingFingerprint is a hash over what makes somebody a participant.
func (c *Config) mappingFingerprint() string {
	return delegation.Fingerprint([]string{
		"mapping", c.BaseURL, c.Project, c.Participant.By, c.Participant.Field, c.Participant.Query, c.Participant.Claim,
	})
}

// retainState takes what other configurations have left.
func (p *Provider) retainState(host delegation.Host) {
	c := &p.config
	quota := host.RetainShared(c.platformKey(), func() io.Closer { return newQuota() }).(*quota)
	pins := host.Retain(c.bindingKey(), func() io.Closer { return newLocalBindings() }).(*localBindings)
	p.cache = host.Retain(p.mappingFingerprint, func() io.Closer {
		d := newParticipantCache(pins)
		d.quota = quota
		return d
	}).(*participantCache)
	p.cache.configure(p.traits.Fingerprint)
	p.serviceAccount = host.Retain(delegation.Fingerprint([]string{"account", c.BaseURL, c.Account}), func() io.Closer { return new(serviceAccountState) }).(*serviceAccountState)
	if prints := keyFingerprints(c.Keys); p.serviceAccount.Supersedes(prints[0]) {
		host.Logger().Info("the private key has changed with this configuration: it is used from now on, and what was obtained with the former one is obtained anew",
			zap.String("public_key_sha256", oauth.PublicFingerprint(c.Keys[0])))
	}
	p.keyName = p.serviceAccount.NameOf(keyFingerprints(c.Keys)...)
	http := delegation.Fingerprint([]string{"http"}, c.HTTP.FingerprintParts())
	p.client = host.Retain(http, func() io.Closer { return new(sharedClient) }).(*sharedClient).client(c.HTTP)
}

// configure has what failed tried anew where the settings are other ones: a
// key, an authority or a proxy may have been mended. What was found out stays.
func (d *participantCache) configure(settings string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settings == settings {
		return
	}
	d.settings = settings
	d.misses.forgetFailures()
	d.breaker.Reset()
}

// lifecycle is how long a directory works: what nobody waits for ends when no
// configuration uses it any more, reading the list for people who wait when the
// last of them has been answered. They may be waiting in a configuration that a
// reload has replaced, and their look-ups end by a deadline of their own.
type lifecycle struct {
	mu         sync.Mutex
	closed     bool
	lookups    int
	background cancellable // what nobody waits for
	foreground cancellable
}

// cancellable is ended by its cancel.
type cancellable struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newCancellable() cancellable {
	ctx, cancel := context.WithCancel(context.Background())
	return cancellable{ctx, cancel}
}

func newLifecycle() lifecycle {
	return lifecycle{background: newCancellable(), foreground: newCancellable()}
}

// beginLookup begins a look-up and returns how to end it.
func (l *lifecycle) beginLookup() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lookups++
	if l.foreground.ctx.Err() != nil {
		l.foreground = newCancellable()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lookups--
		l.cancelIdle()
	}
}

// listContext is the context for reading the list.
func (l *lifecycle) listContext() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.foreground.ctx
}

func (l *lifecycle) cancelIdle() {
	if l.closed && l.lookups == 0 {
		l.foreground.cancel()
	}
}

// unused tells whether no configuration uses the directory any more.
func (l *lifecycle) unused() bool { return l.background.ctx.Err() != nil }

func (l *lifecycle) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.background.cancel()
	l.cancelIdle()
}
