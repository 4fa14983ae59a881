// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"time"
)

// SourceProvider is implemented by a provider whose people connect several data
// sources, each with consents, grants and a token engine of its own. The first
// segment of a request's path names the source, such as /withings/measure, and so
// does the first one of every `allow` line.
type SourceProvider interface {
	Provider

	// Sources returns the sources in the order in which people are shown them. It
	// is called once, after Provision.
	Sources() []Source
}

// Source is one data source of a provider, such as a wearable's vendor or a
// hospital's records.
type Source struct {
	// Name matches [a-z0-9][a-z0-9_-]*: it stands in addresses and in the database.
	Name string
	// Title is the name that people read, such as "City lab".
	Title string
	// Logo is an image of at most 64 KiB, of the media type LogoType; may be empty.
	Logo     []byte
	LogoType string
	// Ended is when the vendor has ended, or will end, the source; zero if that is
	// not known. A source that has ended is shown as such, and nobody can begin a
	// flow for it.
	Ended time.Time

	// Scopes are the default of every route of the source and the ceiling of what
	// its `allow` lines may ask for. Empty: lines may have no scopes, or any.
	Scopes []string
	// Covers reports whether granted scopes, or Scopes as the ceiling of `allow`
	// lines, permit what a needed scope names. Nil: only if it is one of them.
	Covers func(granted []string, needed string) bool
	// NoScopes reports that grants of the source never have scopes, so that its lines
	// may have none.
	NoScopes bool
	// Issuer is the token endpoint, as in [Traits].
	Issuer string
	// Vendor names where the source's tokens may be sent, such as the origins of its
	// token endpoint and API. Grants keep it: one that was made with another Vendor is
	// not used, and its person is asked to connect again. Empty for a source whose
	// hooks send nothing of a grant to an address of the settings.
	Vendor string
	// Client names the operator's client at the vendor, such as the token endpoint's
	// origin and the client_id. Where a vendor ends all consents of an account at a client
	// at once, it is not told that somebody has left while another grant in use has the
	// same Client and Account, whatever its provider and source. Empty: not known.
	Client string
	// HTTP are the operator's settings for connections to the source; nil: those of
	// the [Traits].
	HTTP *HTTP
	// NoAccount reports that the vendor does not say whose account was connected,
	// so that the rule of one account for one person cannot be kept.
	NoAccount bool

	// Hooks carry out the source's consents. They implement [ConsentStarter], and
	// of [Redeemer], [GrantDecoder], [ConsentProber] and [GrantRevoker] those that
	// the vendor needs. The provider itself implements none of them.
	Hooks ConsentStarter
}

// SourcesHost is a [Host] that keeps grants by source. A [SourceProvider] asserts it
// in its Open.
type SourcesHost interface {
	Host

	// SourceGrants returns the grants of one of the provider's sources. It is to be
	// called in Open, once for each. A source that is not among Sources makes the
	// configuration fail to load.
	SourceGrants(source string) Grants
}

// GrantRevoker is implemented by the hooks of a vendor that can be told that its
// user has left.
type GrantRevoker interface {
	// RevokeGrant has the vendor end the grant, whose access token is fresh where
	// the vendor let it be refreshed. What the vendor does not know any more is no
	// error. The error is a [*Refusal]; the grant is deleted here already.
	RevokeGrant(ctx context.Context, g *Grant) error
}

// GrantRefresher is implemented by the hooks of a vendor whose refresh tokens are
// spent outside of a request as well: to try a suspended grant again, to end one with
// a fresh access token, and before an unused one would end.
type GrantRefresher interface {
	// RefreshGrant is a [Spend]. A grant without refresh token does not come here.
	RefreshGrant(ctx context.Context, g *Grant, uncertain bool) (*GrantTokens, error)
}
