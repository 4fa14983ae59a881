// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var (
	errNoToken     = errors.New("the credential has no token")
	errNoPlacement = errors.New("the credential has no placement of the member's identity")
)

// Credential is what a request in a member's name needs on the wire: the operator's
// bearer and the member's identity.
type Credential struct {
	// Token is the operator's service token.
	Token *delegation.Token

	// Member is the member whose request it is. Zero only where Placement says
	// [None].
	Member Member

	// Placement is where the member's identity goes: what [Styles.Placement] has
	// returned for this request.
	Placement IdentityPlacement
}

var (
	_ delegation.Credential   = (*Credential)(nil)
	_ delegation.SecretLister = (*Credential)(nil)
)

// Apply puts bearer and identity on the outgoing request, each exactly once.
//
// First it drops what a server could read as identity: every query parameter
// whose name PHP makes into uid, con_id, key, source_type, api_key,
// connection_token or access_token, also q and _method; the header
// Connection-Token and whatever else becomes one in a CGI environment; and
// all trailers, which some servers merge into the headers. The rest of the
// query stays byte for byte. A body without a Content-Type is declared to be
// JSON.
//
// The error is a [delegation.Refusal] if the request is at fault: route_denied
// for a form or more than 90 parameters, path_ambiguous for a query with a
// space, a control character or "#". No error holds a part of the identity.
// A request that Apply did not accept must not be sent.
func (c *Credential) Apply(out *http.Request) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := checkBody(out); err != nil {
		return err
	}
	query, err := stripReserved(out.URL.RawQuery)
	if err != nil {
		return err
	}
	for name := range out.Header {
		if isAlias(name, "authorization") || isAlias(name, "connection-token") {
			delete(out.Header, name)
		}
	}
	if err := (delegation.Bearer{Token: c.Token}).Apply(out); err != nil {
		return err
	}
	if err := c.Placement.setPath(out.URL, c.Member.UID); err != nil {
		return err
	}
	if c.Placement.style == Blocks {
		out.Header["Connection-Token"] = []string{c.Member.Key.Reveal()}
	}
	out.URL.RawQuery = c.Placement.appendQuery(query, c.Member)
	out.Trailer = nil
	declareBody(out)
	return nil
}

// check refuses a credential that is not complete.
func (c *Credential) check() error {
	switch {
	case c.Token == nil:
		return errNoToken
	case c.Placement.style == 0:
		return errNoPlacement
	case c.Placement.style == None && !c.Placement.inPath:
		return nil
	default:
		return c.Member.Check()
	}
}

// Stale reports whether the answer is a 401. It may also be about the route or the
// member key, which the platform's answer does not tell apart.
func (c *Credential) Stale(res *http.Response) bool {
	return delegation.Bearer{Token: c.Token}.Stale(res)
}

// Secrets are the member key, which stands in the query of datasets, and the
// operator's bearer.
func (c *Credential) Secrets() []delegation.Secret {
	return []delegation.Secret{c.Member.Key, c.Token.Access}
}
