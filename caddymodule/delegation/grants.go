// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"time"
)

// Grant is a person's consent, as a provider reads it: the account that they have
// connected at the platform, and the credential that acts for it. It is not
// changed.
type Grant struct {
	// ID names the grant for operators: 26 random letters and digits.
	ID string
	// Version is another one after each change of the grant in the database.
	Version int64

	// Person is the user whose grant it is.
	Person
	// Source is the data source that was connected, for providers with several;
	// empty otherwise.
	Source string
	// Vendor is the [Source.Vendor] that the source had when the person consented.
	// A provider meets no grant of another.
	Vendor string

	// Account is who the person is at the platform.
	Account string
	// Label is how the account is shown to its owner, such as an address; may be
	// empty.
	Label string
	// Scopes are those that were granted; nil if the platform does not say.
	Scopes []string
	// Secret is the provider's own value, as its [ConsentResult] had it.
	Secret Secret
	// Tokens are the credentials of OAuth; zero for a provider without any.
	Tokens GrantTokens

	// Suspended reports that the platform did not accept the credential. A
	// provider meets such a grant only in [ConsentProber.ProbeGrant].
	Suspended bool
	// Created and Changed are when the grant was first written and last changed.
	Created, Changed time.Time

	// Decoded is the value that [GrantDecoder.DecodeGrant] has made of the grant;
	// nil if the provider is none.
	Decoded any
}

// GrantTokens are the tokens of a grant. A zero time is an end that the platform
// does not say.
type GrantTokens struct {
	// Access is the token of data calls.
	Access        Secret
	AccessExpires time.Time
	// Refresh gets the next access token (RFC 6749 section 6); empty if there is
	// none.
	Refresh        Secret
	RefreshExpires time.Time
}

// GrantsHost is a [Host] that keeps grants. A provider whose people have to consent
// asserts it in its Open.
type GrantsHost interface {
	Host

	// Grants returns the grants of the provider. It is to be called in Open.
	Grants() Grants
}

// Grants are the grants of one provider, in a database that several machines may
// share, with those in use in memory. Errors are a [*Refusal]: consent_required
// where there is no grant that the platform accepts, account_conflict where the
// account belongs to somebody else, and grants_unavailable while the database is
// away and memory does not have the answer.
type Grants interface {
	// Get returns the grant that a person has in use. It is from memory for 30 s,
	// and for up to an hour while the database is away.
	Get(ctx context.Context, person Person) (*Grant, error)

	// GetNewer returns the person's grant as the database has it, if that is a
	// later version than stale, whose credential the platform has refused. ok is
	// false if it is the same.
	GetNewer(ctx context.Context, stale *Grant) (g *Grant, ok bool, err error)

	// Suspend takes a grant out of use whose credential the platform does not
	// accept any more: its person is asked to consent anew, and the credential is
	// kept and tried again. Suspensions are paced for all people of the provider
	// together, three at once and then one in 20 s, because a platform that for a
	// moment refuses everybody must not have everybody asked. It returns the
	// refusal for the request at hand; nil if the grant is still in use, because
	// of that bound or because it was changed meanwhile.
	Suspend(ctx context.Context, g *Grant) *Refusal

	// Refresh returns a grant whose access token is another than refused, and has
	// the platform issue one by spend only if the database does not have it yet.
	// One machine spends a refresh token at a time.
	Refresh(ctx context.Context, person Person, refused Secret, spend Spend) (*Grant, error)

	// PairwiseID returns the identifier by which the platform knows a person of
	// ours (OpenID Connect Core section 8.1): 26 random letters and digits, made
	// once, kept sealed, and deleted with the person's grants.
	PairwiseID(ctx context.Context, person Person) (string, error)
}

// Spend spends a grant's refresh token at the platform and returns the tokens that
// have replaced it. uncertain reports that it may have been spent before: whoever
// tried has not come back to say how that ended. The error is a [*Refusal], and
// wraps [ErrNotSent] if no request was written.
type Spend func(ctx context.Context, g *Grant, uncertain bool) (*GrantTokens, error)
