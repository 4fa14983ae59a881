// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"io"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// The state that outlives a reload, each part keyed by what it depends on and
// nothing else, so that a change of scopes, keys or connections leaves all look-ups
// as they are:
//
//   - the quota: the project, also where two providers share it
//   - the participant cache with the list: the project and the mapping
//   - the bindings: the project
//   - the keys' names: the service account
//   - the connections: the HTTP settings

// serviceAccountState is what is known of a service account's keys.
type serviceAccountState struct {
	delegation.KeyRotation
	accepted atomic.Pointer[string] // fingerprint of the key that was accepted last
}

// Close implements [io.Closer]; there is nothing to end.
func (q *quota) Close() error { return nil }

// Close implements [io.Closer].
func (c *sharedClient) Close() error {
	c.close()
	return nil
}

// platformKey returns a hash over what the quota depends on.
func (c *Config) platformKey() string {
	return delegation.Fingerprint([]string{"platform", c.BaseURL, c.Project})
}

// mappingFingerprint returns a hash over the project and the way in which its
// participants are found: a token of another one is not this person's.
func (c *Config) mappingFingerprint() string {
	return delegation.Fingerprint([]string{
		"mapping", c.BaseURL, c.Project, c.Participant.By, c.Participant.Field, c.Participant.Query, c.Participant.Claim,
	})
}

// retainState takes over the state of earlier configurations.
func (p *Provider) retainState(host delegation.Host) {
	c := &p.config
	quota := host.RetainShared(c.platformKey(), func() io.Closer { return newQuota() }).(*quota)
	bindings := host.Retain(c.bindingKey(), func() io.Closer { return newLocalBindings() }).(*localBindings)
	p.cache = host.Retain(p.mappingFingerprint, func() io.Closer {
		cache := newParticipantCache(bindings)
		cache.quota = quota
		return cache
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

// configure has failed look-ups tried again if the settings have changed: a key, a
// certificate authority or a proxy may have been corrected. Hits and misses stay.
func (c *participantCache) configure(settings string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settings == settings {
		return
	}
	c.settings = settings
	c.misses.forgetFailures()
	c.breaker.Reset()
}
