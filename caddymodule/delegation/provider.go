// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"io"
	"strings"

	"go.uber.org/zap"
)

// Provider is one configured platform account: where tokens are minted and where
// requests go. Errors of its methods are a [*Refusal], or a fault that is
// answered as one, see [AsRefusal].
//
// A provider is a Caddy module in the namespace delegate.providers. Its Provision
// must not touch the network; Open is called right after it.
type Provider interface {
	// Traits returns the fixed facts of the configured provider. It is called once,
	// after Provision.
	Traits() Traits

	// Open hands over the host. It must not touch the network: it is also called
	// when a configuration is only validated.
	Open(host Host) error

	// Authorize finds the participant of d's person, sets [Delegation.Participant]
	// and [Delegation.Cached], and returns the credential.
	Authorize(ctx context.Context, d *Delegation) (Credential, error)

	// Renew returns another credential than stale, which the upstream does not
	// accept any more: the one that has replaced it meanwhile, or a new one.
	Renew(ctx context.Context, d *Delegation, stale Credential) (Credential, error)

	// Upstream returns where requests for d go.
	Upstream(d *Delegation) Upstream

	// Forget deletes what the provider itself remembers of the selection, such as
	// who is which participant: after a logout, a withdrawal or an operator's
	// purge, here or on another machine. Tokens are deleted by the engine. It
	// must be quick and must not touch the network.
	Forget(s Selection)
}

// TokenIssuer is implemented by a provider whose participant tokens may be handed
// to an SDK in the browser. A provider whose bearer is the operator's own must
// not implement it.
type TokenIssuer interface {
	// IssueToken returns the token in memory for d if keep accepts it, a new one
	// otherwise. A token that was minted during the call is returned in any case.
	IssueToken(ctx context.Context, d *Delegation, keep func(*Token) bool) (*Token, error)
}

// ParticipantChecker is implemented by a provider that can say whether a person
// may act at the platform before a request of theirs is sent.
type ParticipantChecker interface {
	// CheckParticipant returns the refusal that a request of d's person would
	// meet; nil if none is foreseen. It costs no more than such a request, and
	// what it finds is kept for it.
	CheckParticipant(ctx context.Context, d *Delegation) error
}

// UnauthorizedDiagnoser is implemented by a provider that can find out why the
// upstream does not accept a new credential.
type UnauthorizedDiagnoser interface {
	// DiagnoseUnauthorized returns what to answer to a request whose credential was
	// not accepted, nor the new one after it; nil if that is not known. refused
	// is the new one.
	DiagnoseUnauthorized(ctx context.Context, d *Delegation, refused Credential) *Refusal
}

// Releaser is implemented by a provider that binds each person to the first
// participant that it found them to be.
type Releaser interface {
	// Release ends the binding of a person, whose identity the operator has
	// verified.
	Release(p Person)
}

// Unbinder is a [Releaser] whose bindings are kept in a database, so that ending
// one can fail. Unbind is called instead of Release.
type Unbinder interface {
	Releaser
	Unbind(ctx context.Context, p Person) error
}

// LookupCounter is implemented by a provider that remembers which participant or
// member a person is.
type LookupCounter interface {
	// Lookups returns how many of them a purge of the selection would delete.
	Lookups(s Selection) int
}

// Traits are the facts of a configured provider that are needed before the first
// request.
type Traits struct {
	// Scopes are the default of every route and the ceiling of what an
	// `allow` line may ask for.
	Scopes []string

	// Routes is the policy where a directive has no `allow` line. Empty means
	// that the operator must write one.
	Routes []Route

	// Claim is the placeholder that names the participant, such as
	// {http.auth.user.participant}. Empty means the subject.
	Claim string

	// Ends is the placeholder whose value says when a person's grants end by themselves,
	// such as {http.auth.user.study_end}: a time of RFC 3339, or seconds since 1970. Empty:
	// they do not.
	Ends string

	// BaseURL is the address of the API as an SDK is told it, ending in a slash.
	BaseURL string

	// HTTP are the operator's settings for connections to the platform; may be nil.
	HTTP *HTTP

	// Issuer is the token endpoint. A provider's token engine, with its breaker
	// and bounds, is kept across reloads as long as the issuer is the same; all
	// else that a token depends on is in its [Identity]. Empty: the engine begins
	// anew with every change of the Fingerprint.
	Issuer string

	// Fingerprint is a hash over every expanded setting, see [Fingerprint]. When
	// it changes, refused tokens are tried again.
	Fingerprint string
}

// Host is what this module provides to a provider.
type Host interface {
	// Name is the provider's configured name.
	Name() string

	// Tokens returns the provider's token engine, which calls mint for tokens that
	// it does not have. The engine outlives reloads, so a token's [Identity] has
	// to name all that the token depends on. It is to be called once, at the end
	// of Open: mint may be called at once.
	Tokens(mint Mint) Tokens

	// SourceTokens is [Host.Tokens] for one of several sources of a provider, each
	// with an issuer of its own: each has an engine, with its own breaker, bounds
	// and remembered failures, so that a vendor that is down closes its own source
	// only. Names match [a-z0-9][a-z0-9_-]*; Tokens is the engine of the empty one.
	// It is to be called during Open, once for each source.
	SourceTokens(source string, mint Mint) Tokens

	// Retain returns state of the provider's own that outlives reloads. build makes
	// it, unless a provider of the same name and kind has retained the key
	// already. It must not refer to the logger or anything else of one
	// configuration. Its Close is called when no configuration uses it any more.
	Retain(key string, build func() io.Closer) io.Closer

	// RetainShared is [Host.Retain] for state that all providers of the same kind
	// share, whatever their names: what belongs to the platform, such as a quota.
	RetainShared(key string, build func() io.Closer) io.Closer

	// Logger returns the log of the current configuration.
	Logger() *zap.Logger
}

// Route is one line of a route policy.
type Route struct {
	// Methods are the allowed methods in upper case; HEAD follows GET. Empty:
	// DELETE, GET, HEAD, PATCH, POST and PUT. The word WEBSOCKET allows an
	// upgrade.
	Methods []string

	// Pattern is a path: `*` stands for one segment, a trailing `/**` for one or
	// more.
	Pattern string

	// Scopes are those of tokens for this route. Empty: the provider's.
	Scopes []string

	// Public forwards requests without session and credential.
	Public bool
}

// Upstream is where a delegation's requests go.
type Upstream struct {
	// Scheme is http or https.
	Scheme string

	// Address is host:port to dial.
	Address string

	// Host is the value of the Host header.
	Host string

	// Prefix is put before the path; "" or /x without a trailing slash.
	Prefix string

	// Mount is cut off the front of the path before Prefix is put there, and put
	// back into addresses in the response; "" or /x without a trailing slash. A
	// provider with several upstreams tells them apart by it, such as /withings.
	// A request whose path does not begin with Mount and a slash is refused with
	// not_delegated.
	Mount string

	// CredentialInURL reports that the credential is part of the URL of requests,
	// which a platform may repeat. Its redirects are refused then, addresses in
	// its answers removed, and the credential's secrets made unreadable wherever
	// else they stand in an answer, which cannot be a WebSocket. The credential
	// has to be a [SecretLister].
	CredentialInURL bool
}

// CutMount returns the rest of a canonical path behind Mount, which begins with a
// slash. ok is false if the path is not below Mount.
func (u *Upstream) CutMount(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, u.Mount)
	return rest, ok && strings.HasPrefix(rest, "/")
}

// SecretLister is a [Credential] whose secrets an answer must not repeat.
type SecretLister interface {
	// Secrets returns what was put on the request: ASCII without spaces.
	Secrets() []Secret
}
