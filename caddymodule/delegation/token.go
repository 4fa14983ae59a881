// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Token is a bearer token as an issuer answered it. A Token is never changed
// after it was made; its address tells one minting from the next.
type Token struct {
	// Access is the token itself.
	Access Secret
	// Scope is what was granted, space-separated. Where the issuer does not
	// say, it is what was asked for (RFC 6749 section 5.1).
	Scope string
	// Minted is when the answer was received.
	Minted time.Time
	// Expires is when the issuer stops accepting the token: Minted plus expires_in.
	Expires time.Time
}

// Same tells whether two tokens are the same one, wherever they were kept.
func (t *Token) Same(other *Token) bool {
	return t == other || t != nil && other != nil && t.Access.Equal(other.Access)
}

// Lifetime is how long the issuer said the token lives from its minting.
func (t *Token) Lifetime() time.Duration { return t.Expires.Sub(t.Minted) }

// Identity is everything a token is bound to. Two requests share a token only
// if all of it is equal.
type Identity struct {
	Provider string // configured name of the provider
	Issuer   string // token endpoint
	Client   string // client or service account at the issuer
	// Key names the client's secret or key: its fingerprint, or what the
	// [Succession] of the account's keys calls it.
	Key    string
	Person // whom the app's session names; zero for a service token
	// Participant is the person's name at the platform; empty for a service token.
	Participant string
	Audience    string   // where the token is to be used
	Scopes      []string // sorted
	Config      string   // fingerprint of what else a token depends on: no scopes, keys or connections
}

// IsService tells whether the identity is the operator's own, not a person's.
func (i *Identity) IsService() bool { return i.Person == Person{} && i.Participant == "" }

// Mint obtains a new token for an identity from its issuer. Its context has a
// deadline of the token engine's own and does not end when the request that
// asked goes away. Its error is a [*Refusal], whose code decides how long it is
// remembered and for whom, or a fault that counts as an issuer that is down. A
// mint may ask for another identity's token, such as the service token.
type Mint func(ctx context.Context, id Identity) (*Token, error)

// Tokens keeps tokens and has them minted, one mint per identity at a time
// however many ask.
type Tokens interface {
	// Get returns a token for id that is not about to expire, minting one if
	// needed. cached tells whether it was there already. The error is the
	// mint's, or the context's if the caller stopped waiting, or a refusal with
	// the code overloaded.
	Get(ctx context.Context, id Identity) (token *Token, cached bool, err error)

	// Renew returns a token for id other than stale: the one that replaced it
	// meanwhile, or a new one. However many callers report the same stale
	// token, one mint answers them all.
	Renew(ctx context.Context, id Identity, stale *Token) (*Token, error)
}

// Credential is whatever one request needs on the wire to act as one person.
type Credential interface {
	// Apply puts the credential on the outgoing request. It is the last step
	// before sending and may set headers, path, query or body.
	Apply(out *http.Request) error

	// Stale reports whether the answer means that this credential is no longer
	// accepted. It may read up to 4 KiB of the body and then must put it back.
	Stale(res *http.Response) bool
}

// Bearer is the credential of RFC 6750: the token in the Authorization header.
type Bearer struct {
	Token *Token
}

// Apply sets the Authorization header, replacing any other.
func (b Bearer) Apply(out *http.Request) error {
	if b.Token == nil || b.Token.Access.Reveal() == "" {
		return errors.New("the credential has no token")
	}
	v := "Bearer " + b.Token.Access.Reveal()
	if !httpguts.ValidHeaderFieldValue(v) {
		return errors.New("the token holds characters that no header may carry")
	}
	out.Header["Authorization"] = []string{v}
	return nil
}

// Stale reports whether the answer is a 401.
func (Bearer) Stale(res *http.Response) bool {
	return res.StatusCode == http.StatusUnauthorized
}
