// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// keyProber is implemented by key sets that are fetched.
type keyProber interface {
	Probe(ctx context.Context) (keys int, err error)
}

// probe finds out, for `caddy delegate check`, whether sessions can be verified: it fetches
// the keys, or verifies a made-up credential. It returns what it has found.
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
	source := session.InBearer
	if s.Cookie != "" {
		source = session.InCookie
	}
	if err := session.Probe(ctx, s.verifier, source); err != nil {
		return "", fmt.Errorf("%s: %s", what, delegation.Explain(err))
	}
	return what + ": answers that nobody is signed in by a session that was made up", nil
}

// misnamed returns an error if the discovery document has the issuer's name with another
// end than the settings, by a slash as a rule: all its tokens are refused then. An issuer
// without a discovery document passes.
func (s *AppSession) misnamed(ctx context.Context, issuer string) error {
	settings, err := s.HTTP.settings(caddy.NewReplacer())
	if err != nil {
		return err
	}
	client := settings.Client()
	defer client.CloseIdleConnections()
	_, name, err := jwks.Discover(ctx, client, issuer)
	if err != nil || name == issuer || strings.TrimSuffix(name, "/") != strings.TrimSuffix(issuer, "/") {
		return nil //nolint:nilerr // there is nothing to compare with
	}
	return fmt.Errorf("the issuer calls itself %s, and `issuer` says %s: they have to agree to the last slash", command.QuoteForTerminal(name), command.QuoteForTerminal(issuer))
}

// discoveryHint returns where the keys are by the issuer's discovery document.
func (s *AppSession) discoveryHint(ctx context.Context, issuer string) string {
	settings, err := s.HTTP.settings(caddy.NewReplacer())
	if err != nil {
		return "its discovery document was not asked"
	}
	client := settings.Client()
	defer client.CloseIdleConnections()
	address, _, err := jwks.Discover(ctx, client, issuer)
	if err != nil {
		return fmt.Sprintf("the issuer's discovery document does not help: %v", err)
	}
	return "the issuer's discovery document names jwks_uri " + address
}

// describeVerifier names the verifier for operators, with the address or issuer.
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
