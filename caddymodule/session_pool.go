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

// pooledVerifier are sessions of one way to verify them, in the pool: the answers
// that were given about them, who is being asked and has failed to answer, and
// the connections for it. A reload asks nothing again. They hold nothing of any
// one configuration.
type pooledVerifier struct {
	session.Verifier
	httpClient *http.Client // nil: nobody is asked, or keys that are in the pool by themselves
}

// Destruct runs when no configuration verifies sessions in this way any more.
func (v pooledVerifier) Destruct() error {
	if v.httpClient != nil {
		v.httpClient.CloseIdleConnections()
	}
	return nil
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (pooledVerifier) GoString() string { return "delegate sessions" }

// poolVerifier finds or makes what is pooled by these settings, which have to be
// all that an answer depends on: a field of the verifier that is not among them
// would have sessions outlive its change.
func (s *AppSession) poolVerifier(settings [][]string, life time.Duration, build func() pooledVerifier) session.Verifier {
	key := delegation.Fingerprint(append(settings, []string{life.String()})...)
	return s.refs.loadOrNew("sessions\x00"+key, func() caddy.Destructor { return build() }).(pooledVerifier).Verifier
}

// poolRemoteVerifier pools a verifier that asks somebody.
func (s *AppSession) poolRemoteVerifier(v session.Verifier, client *http.Client, settings [][]string, life time.Duration, revocations *session.Revocations) (session.Verifier, error) {
	connection, err := s.HTTP.fingerprint(caddy.NewReplacer())
	if err != nil {
		return nil, err
	}
	return s.poolVerifier(append(settings, connection), life, func() pooledVerifier {
		asked := session.NewRemoteVerifier(v, client.Timeout)
		asked.ClientNetwork = clientNetwork
		return pooledVerifier{session.NewCache(asked, revocations, life), client}
	}), nil
}

// fingerprint is what connections depend on: of certificates what the file
// holds, because a file that was mended is to count.
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

// claimDefaultRealm notes how users are named in a realm that nobody has chosen: the
// default. Two ways there would take two people for one where the same name
// means one user at the one and another at the other.
func (a *App) claimDefaultRealm(realm string, way ...string) error {
	key := strings.Join(way, " ")
	if other, ok := a.realmSources[realm]; ok && other != key {
		return fmt.Errorf("two app_session name users in different ways and would share the realm %s: write `realm %s` in both if a name means the same user in both, otherwise a realm of its own in one of them", realm, realm)
	}
	if a.realmSources == nil {
		a.realmSources = make(map[string]string)
	}
	a.realmSources[realm] = key
	return nil
}

// clientNetwork returns the network of a request's client, as Caddy knows it: with
// trusted_proxies it is what a proxy in front says.
func clientNetwork(ctx context.Context) netip.Prefix {
	address, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return session.ClientNetwork(address)
}

// httpClient is for questions about sessions.
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
