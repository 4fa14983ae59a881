// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// signedCredential signs the requests of one grant. It is of one request.
type signedCredential struct {
	protocol *oauth1Protocol
	grant    *delegation.Grant
	accepted *atomic.Pointer[string]

	path    string         // of the request that was signed last
	problem oauth1.Problem // of its answer
	// trial gives the timestamp for the next request instead of the source's clock, by
	// the date of an answer that has refused one; nil: none has.
	trial *oauth1.Clock
}

// DecodeGrant implements [delegation.GrantDecoder]: what is kept in memory of a grant is
// the path of the data call that has succeeded with it last.
func (p *oauth1Protocol) DecodeGrant(*delegation.Grant) (any, error) {
	return new(atomic.Pointer[string]), nil
}

// acceptedOf returns where the path of a grant's last success is kept.
func acceptedOf(g *delegation.Grant) *atomic.Pointer[string] {
	if p, ok := g.Decoded.(*atomic.Pointer[string]); ok {
		return p
	}
	return new(atomic.Pointer[string])
}

// noteAccepted keeps the path of a success.
func noteAccepted(to *atomic.Pointer[string], path string) {
	if at := to.Load(); at == nil || *at != path {
		kept := path // so that path stays where it is if nothing is to be kept
		to.Store(&kept)
	}
}

// signer signs our own requests with a token.
type signer struct {
	protocol *oauth1Protocol
	token    oauth1.Token
}

// signerOf returns the signer of a grant's requests.
func (p *oauth1Protocol) signerOf(g *delegation.Grant) *signer {
	return &signer{p, oauth1.Token{Value: g.Tokens.Access, Secret: g.Secret}}
}

// Apply implements [delegation.Credential].
func (s *signer) Apply(out *http.Request) error { return s.protocol.client().Sign(out, s.token) }

// Stale implements [delegation.Credential].
func (*signer) Stale(res *http.Response) bool { return res.StatusCode == http.StatusUnauthorized }

// Apply implements [delegation.Credential]: it signs the request, each time with a nonce
// of its own. The error is a [*delegation.Refusal] for a request that cannot be
// signed, or that could be read as signed by another token.
func (c *signedCredential) Apply(out *http.Request) error {
	if err := checkSignable(out); err != nil {
		return err
	}
	c.path, c.problem = out.URL.Path, ""
	client := c.protocol.client()
	if c.trial != nil {
		client.Clock = c.trial
	}
	return client.Sign(out, c.protocol.signerOf(c.grant).token)
}

// The differences between a vendor's date and the timestamp of a request beyond which
// the timestamp is taken for the reason of its refusal: if the vendor says so, and if
// it says nothing. Vendors take timestamps of five minutes or so.
const (
	skewRefused = 5 * time.Second
	skewSilent  = 2 * time.Minute
)

// Stale implements [delegation.Credential]: it reports whether the answer is a 401, or
// one that refuses timestamp or nonce with another status. If it may be the timestamp,
// the next signature has the time of the answer; everybody's have it from when the vendor
// has accepted that one. An answer of a route alone may come from anywhere.
func (c *signedCredential) Stale(res *http.Response) bool {
	switch status := res.StatusCode; {
	case status/100 == 2:
		if c.trial != nil {
			c.protocol.clock.Adopt(c.trial)
			c.trial = nil
		}
		noteAccepted(c.accepted, c.path)
		return false
	case status != http.StatusUnauthorized && status != http.StatusBadRequest && status != http.StatusForbidden:
		return false
	}
	start, _ := peek(res)
	c.problem = oauth1.ProblemIn(res.Header, start)
	if res.StatusCode != http.StatusUnauthorized && c.problem.Kind() != oauth1.Time {
		return false
	}
	c.trial = nil
	if date, tolerance, ok := vendorTime(res.Header, c.problem); ok {
		c.trial = c.protocol.clock.Trial(date, tolerance)
	}
	return true
}

// correctClock sets the clock by the date of a refusal that is about the timestamp,
// or may be. It reports whether that has changed anything.
func (p *oauth1Protocol) correctClock(header http.Header, problem oauth1.Problem) bool {
	date, tolerance, ok := vendorTime(header, problem)
	return ok && p.clock.Correct(date, tolerance)
}

// vendorTime returns the date of a refusal that is about the timestamp, or may be, and
// how much it may differ from ours. ok is false for any other, and for an answer that a
// cache has kept (RFC 9111 section 5.1): its date is of another day.
func vendorTime(header http.Header, problem oauth1.Problem) (date time.Time, tolerance time.Duration, ok bool) {
	tolerance = skewSilent
	switch {
	case problem == oauth1.TimestampRefused:
		tolerance = skewRefused
	case problem != "":
		return date, 0, false
	}
	if age := header.Get("Age"); age != "" && age != "0" {
		return date, 0, false
	}
	date, err := http.ParseTime(header.Get("Date"))
	return date, tolerance, err == nil
}

// Secrets implements [delegation.SecretLister]. The token is what is on the wire; its
// secret never is.
func (c *signedCredential) Secrets() []delegation.Secret {
	return []delegation.Secret{c.grant.Tokens.Access}
}
