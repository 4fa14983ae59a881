// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// keyProber is implemented by keys that come from elsewhere.
type keyProber interface {
	Probe(ctx context.Context) (keys int, err error)
}

// probe finds out, for `caddy delegate check`, whether sessions can be verified:
// it fetches the keys, or asks about a session that was made up.
func (s *AppSession) probe(ctx context.Context) (string, error) {
	what := s.describeVerifier()
	if s.JWT != nil {
		v, _, err := s.JWT.newVerifier(s.HTTP, &s.refs, s.checkAddress)
		if err != nil {
			return "", err
		}
		remote, ok := v.Keys.(keyProber)
		if !ok {
			return what + ": its keys are in the configuration", nil
		}
		n, err := remote.Probe(ctx)
		if err != nil {
			return "", fmt.Errorf("%s: %w; %s", what, err, s.discoveryHint(ctx, v.Issuer))
		}
		if err := s.misnamed(ctx, v.Issuer); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		return fmt.Sprintf("%s: %d keys for signatures", what, n), nil
	}
	slot := session.InBearer
	if s.Cookie != "" {
		slot = session.InCookie
	}
	if err := session.Probe(ctx, s.verifier, slot); err != nil {
		return "", fmt.Errorf("%s: %w", what, probeCause(err))
	}
	return what + ": answers that nobody is signed in by a session that was made up", nil
}

// misnamed is an error if the issuer calls itself by another name than the
// settings do, of the same address: by the slash at its end, as a rule. Its tokens
// are all refused then. An issuer without a discovery document is not judged.
func (s *AppSession) misnamed(ctx context.Context, issuer string) error {
	settings, err := s.HTTP.settings(caddy.NewReplacer())
	if err != nil {
		return err
	}
	client := settings.Client()
	defer client.CloseIdleConnections()
	_, name, err := session.Discover(ctx, client, issuer)
	if err != nil || name == issuer || strings.TrimSuffix(name, "/") != strings.TrimSuffix(issuer, "/") {
		return nil //nolint:nilerr // there is nothing to compare with
	}
	return fmt.Errorf("the issuer calls itself %s, and `issuer` says %s: they have to agree to the last slash", command.Printable(name), command.Printable(issuer))
}

// discoveryHint says where the issuer itself says that its keys are.
func (s *AppSession) discoveryHint(ctx context.Context, issuer string) string {
	settings, err := s.HTTP.settings(caddy.NewReplacer())
	if err != nil {
		return "its discovery document was not asked"
	}
	client := settings.Client()
	defer client.CloseIdleConnections()
	address, err := session.DiscoverJWKS(ctx, client, issuer)
	if err != nil {
		return fmt.Sprintf("the issuer's discovery document does not help: %v", err)
	}
	return "the issuer's discovery document names jwks_uri " + address
}

// probeCause is what a refusal is for.
func probeCause(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

// describeVerifier tells one app_session from another.
func (s *AppSession) describeVerifier() string {
	repl := caddy.NewReplacer()
	switch {
	case s.JWT != nil && s.JWT.JWKS != "":
		return "jwks " + repl.ReplaceKnown(s.JWT.JWKS, "")
	case s.JWT != nil:
		return "issuer " + repl.ReplaceKnown(s.JWT.Issuer, "")
	case s.Introspect != nil:
		return "introspect " + repl.ReplaceKnown(s.Introspect.URL, "")
	default:
		return "session_endpoint " + repl.ReplaceKnown(s.SessionEndpoint.URL, "")
	}
}
