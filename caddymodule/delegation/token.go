// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Token is a bearer token as an issuer answered it. It is never changed.
type Token struct {
	// Access is the access token.
	Access Secret
	// Scope is the granted scope, space-separated; the requested one if the
	// issuer does not say (RFC 6749 section 5.1).
	Scope string
	// Minted is when the answer was received.
	Minted time.Time
	// Expires is when the issuer stops accepting the token: Minted plus expires_in.
	Expires time.Time
}

// Same reports whether two tokens are the same one, wherever they were kept. Both
// may be nil.
func (t *Token) Same(other *Token) bool {
	return t == other || t != nil && other != nil && t.Access.Equal(other.Access)
}

// Lifetime is expires_in: how long the token lives from its minting.
func (t *Token) Lifetime() time.Duration { return t.Expires.Sub(t.Minted) }

// Identity is everything that a token is bound to. Two requests share a token only
// if all of it is equal.
type Identity struct {
	Provider string // configured name of the provider
	Source   string // of the provider's sources; set by the engine of [Host.SourceTokens]
	Issuer   string // token endpoint
	Client   string // client or service account at the issuer
	// Key names the client's secret or key: its fingerprint, or its name in the
	// account's [KeyRotation].
	Key    string
	Person // the signed-in user; zero for a service token
	// Participant is the person's name at the platform; empty for a service token.
	Participant string
	Audience    string   // where the token is to be used
	Scopes      []string // sorted
	Config      string   // fingerprint of what else the token depends on; not scopes, keys or connections
}

// IsService reports whether the identity is that of a service token: the
// operator's own, not a person's.
func (i *Identity) IsService() bool { return i.Person == Person{} && i.Participant == "" }

// Mint obtains a new token for an identity from its issuer. The context has a
// deadline of the token engine's own and does not end with the request that
// asked. The error is a [*Refusal], whose code decides for how long and for whom
// it is remembered, or a fault that counts as an issuer that is down. A mint may
// ask for another identity's token, such as the service token.
//
// refused is the token that does not serve whoever asked: the upstream does not
// accept it, or too little of its life is left. It is nil if they knew of none. A
// mint that keeps tokens of its own may return any but that one. Returned all the
// same, it is what the request gets, and it is not asked for again by that request.
type Mint func(ctx context.Context, id Identity, refused *Token) (*Token, error)

// Tokens is the token engine of a provider: it keeps tokens and has them minted,
// one mint per identity at a time however many ask.
type Tokens interface {
	// Get returns a token for id that is not about to expire, minting one if
	// needed. cached reports whether it was in memory. The error is that of the
	// mint or of ctx, or a refusal with the code overloaded.
	Get(ctx context.Context, id Identity) (token *Token, cached bool, err error)

	// Renew returns a token for id other than stale: the one that has replaced it
	// meanwhile, or a new one. However many callers report the same stale token,
	// one mint answers them all.
	Renew(ctx context.Context, id Identity, stale *Token) (*Token, error)
}

// Credential is what one request needs on the wire to act as one person: a bearer
// token, query parameters, a signature.
type Credential interface {
	// Apply puts the credential on the outgoing request. It is the last step
	// before sending and may set headers, path, query or body.
	Apply(out *http.Request) error

	// Stale reports whether the answer means that the credential is not accepted
	// any more. It may read up to 4 KiB of the body, and has to put them back.
	Stale(res *http.Response) bool
}

// Bearer is the credential of RFC 6750 section 2.1: the token in the
// Authorization header.
type Bearer struct {
	Token *Token
}

// Apply implements [Credential]: it sets the Authorization header, replacing any
// other.
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

// Stale implements [Credential]: it reports whether the answer is a 401.
func (Bearer) Stale(res *http.Response) bool {
	return res.StatusCode == http.StatusUnauthorized
}
