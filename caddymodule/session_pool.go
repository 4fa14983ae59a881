// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// pooledVerifier is a verifier with its cache, breaker and connections, as reloads share
// it: a reload asks about no session again. It holds nothing of one configuration.
type pooledVerifier struct {
	session.Verifier
	httpClient *http.Client // of a remote verifier; otherwise nil
}

// Destruct runs when no configuration uses the verifier any more.
func (v pooledVerifier) Destruct() error {
	if v.httpClient != nil {
		v.httpClient.CloseIdleConnections()
	}
	return nil
}

// GoString keeps the usage pool from printing sessions when it panics.
func (pooledVerifier) GoString() string { return "delegate sessions" }

// poolVerifier returns the verifier of these settings, from the pool or from build. The
// settings have to be all that a session depends on: sessions would outlive the change of
// a field that is not among them.
func (s *AppSession) poolVerifier(settings [][]string, life time.Duration, build func() pooledVerifier) session.Verifier {
	key := delegation.Fingerprint(append(settings, []string{life.String()})...)
	return s.refs.loadOrNew("sessions\x00"+key, func() caddy.Destructor { return build() }).(pooledVerifier).Verifier
}

// poolRemoteVerifier returns v, which calls a server by the client, as a pooled verifier.
func (s *AppSession) poolRemoteVerifier(v session.Verifier, client *http.Client, settings [][]string, life time.Duration, revocations *session.Revocations) (session.Verifier, error) {
	connection, err := s.HTTP.fingerprint(caddy.NewReplacer())
	if err != nil {
		return nil, err
	}
	return s.poolVerifier(append(settings, connection), life, func() pooledVerifier {
		remote := session.NewRemoteVerifier(v, client.Timeout)
		remote.ClientNetwork = requestNetwork
		return pooledVerifier{session.NewCache(remote, revocations, life), client}
	}), nil
}

// fingerprint returns the settings that connections depend on. Of a file of certificates
// it has the digest, because a file with the same name may have changed.
func (h *HTTP) fingerprint(repl *caddy.Replacer) ([]string, error) {
	settings, err := h.settings(repl)
	if err != nil {
		return nil, err
	}
	all := settings.FingerprintParts()
	if h != nil && h.CAFile != "" {
		file, err := expandSetting(repl, h.CAFile)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, hex.EncodeToString(sum[:]))
	}
	return all, nil
}

// claimDefaultRealm records how users are named in a default realm, by what and by which
// claim or address. It returns an error if another app_session names them in another way:
// the same name could be two users, who would be taken for one.
func (a *App) claimDefaultRealm(realm string, source ...string) error {
	key := strings.Join(source, " ")
	if other, ok := a.realmSources[realm]; ok && other != key {
		return fmt.Errorf("two app_session name users in different ways and would share the realm %s: write `realm %s` in both if a name means the same user in both, otherwise a realm of its own in one of them", realm, realm)
	}
	if a.realmSources == nil {
		a.realmSources = make(map[string]string)
	}
	a.realmSources[realm] = key
	return nil
}

// requestNetwork returns the network of a request's client, as Caddy knows it: with
// trusted_proxies it is what a proxy in front says.
func requestNetwork(ctx context.Context) netip.Prefix {
	address, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return session.ClientNetwork(address)
}

// httpClient returns the client for calls about sessions.
func (s *AppSession) httpClient(repl *caddy.Replacer) (*http.Client, error) {
	settings, err := s.HTTP.settings(repl)
	if err != nil {
		return nil, err
	}
	client := settings.Client()
	if settings == nil || settings.Timeout == 0 {
		client.Timeout = session.DefaultRemoteTimeout
	}
	return client, nil
}
