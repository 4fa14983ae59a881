// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"io"

	"go.uber.org/zap"
)

// Provider is one configured platform account: where tokens are minted and
// where requests go. Errors of its methods are a [*Refusal], or a fault that
// is answered as one.
//
// A provider is a Caddy module in the namespace delegate.providers. Its
// Provision must not touch the network; Open comes right after it.
type Provider interface {
	// Traits tells the fixed facts of the configured provider. Called once, after Provision.
	Traits() Traits

	// Open hands over what the host provides. It must not touch the network:
	// it also runs when a configuration is only validated.
	Open(host Host) error

	// Authorize resolves the participant and obtains the credential for d.
	Authorize(ctx context.Context, d *Delegation) (Credential, error)

	// Renew replaces a credential that the upstream no longer accepts. If it
	// was replaced already, Renew returns the replacement.
	Renew(ctx context.Context, d *Delegation, stale Credential) (Credential, error)

	// Upstream tells where requests for d go.
	Upstream(d *Delegation) Upstream

	// Forget drops what the provider itself remembers of people, such as who
	// they are at the platform: logout, withdrawal, an operator's purge, here
	// or on another machine. Their tokens are dropped already. It must be
	// quick and must not touch the network.
	Forget(s Selection)
}

// TokenIssuer is implemented by a provider whose participant tokens may be
// handed to an SDK. A provider whose bearer is the operator's own must not
// implement it.
type TokenIssuer interface {
	// IssueToken returns a token for d that keep accepts, a new one if the
	// token at hand is not accepted. A token minted during the call is
	// returned in any case.
	IssueToken(ctx context.Context, d *Delegation, keep func(*Token) bool) (*Token, error)
}

// ParticipantChecker is implemented by a provider that can tell whether a
// person may act at the platform before anything is sent there for them.
type ParticipantChecker interface {
	// CheckParticipant returns the refusal that a request of d's person would
	// meet, and nil if none is foreseen. It costs no more than such a request,
	// which has what it found.
	CheckParticipant(ctx context.Context, d *Delegation) error
}

// UnauthorizedDiagnoser is implemented by a provider that can find out why the upstream
// does not accept a new credential.
type UnauthorizedDiagnoser interface {
	// DiagnoseUnauthorized is called when it was refused twice, a new one included. It
	// returns what to answer; nil if it cannot tell.
	DiagnoseUnauthorized(ctx context.Context, d *Delegation, refused Credential) *Refusal
}

// Releaser is implemented by a provider that binds people to participants for
// good.
type Releaser interface {
	// Release ends the binding of a person, whom the operator has made sure of.
	Release(p Person)
}

// Unbinder is a [Releaser] whose bindings are kept where that can fail. Unbind
// is called instead of Release.
type Unbinder interface {
	Releaser
	Unbind(ctx context.Context, p Person) error
}

// LookupCounter is implemented by a provider that remembers who is which
// participant or member.
type LookupCounter interface {
	// Lookups is how many of them a purge would drop.
	Lookups(s Selection) int
}

// Traits are the facts of a configured provider that are needed before the
// first request.
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

	// BaseURL is the address of the API as an SDK is told it, ending in a slash.
	BaseURL string

	// HTTP are the operator's settings for connections to the platform; may be nil.
	HTTP *HTTP

	// Issuer is the token endpoint. The token engine of a provider is one for
	// each: its breaker and its bounds are about that, and each token's
	// [Identity] names all else that the token depends on. Empty: what depends
	// on any setting is in the Identity too, but the engine begins anew with
	// every change of the Fingerprint.
	Issuer string

	// Fingerprint is a hash over every expanded setting. What was refused is
	// tried again when it changes.
	Fingerprint string
}

// Host is what a provider gets from this module.
type Host interface {
	// Name is the provider's configured name.
	Name() string

	// Tokens is the provider's token engine, which has mint make what it lacks.
	// It outlives a reload; of each token the [Identity] decides, which names
	// what the token depends on. To be called once, at the end of Open: mint may be called at once.
	Tokens(mint Mint) Tokens

	// Retain returns state of the provider's own that outlives a reload. build
	// makes it unless a provider of the same name and kind has asked for the
	// same key already. It must not hold on to the logger or anything else of
	// one configuration. Its Close runs when no configuration uses it any more.
	Retain(key string, build func() io.Closer) io.Closer

	// RetainShared is State that providers of other names share, if they are of the
	// same kind: of what belongs to the platform, such as a quota.
	RetainShared(key string, build func() io.Closer) io.Closer

	// Logger is the log of the current configuration.
	Logger() *zap.Logger
}

// Route is one line of a route policy.
type Route struct {
	// Methods it allows, upper case; HEAD follows GET. Empty: DELETE, GET,
	// HEAD, PATCH, POST and PUT. The word WEBSOCKET allows an upgrade.
	Methods []string

	// Pattern is a path: `*` stands for one segment, a trailing `/**` for any
	// number of them.
	Pattern string

	// Scopes replace the provider's for this route. Empty: the provider's.
	Scopes []string

	// Public routes are forwarded without session and credential.
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

	// CredentialInURL says that the credential stands in the address of requests. A
	// redirect of the platform is refused then, and an address in its answer
	// taken out: it may repeat what it was called by. What of the credential is
	// secret is made unreadable wherever else it stands in the answer, which
	// cannot be a WebSocket. The credential has to be [Disclosing].
	CredentialInURL bool
}

// SecretLister is a credential that tells what an answer must not repeat of it.
type SecretLister interface {
	// Secrets are what was put on the request. They have no spaces and are ASCII.
	Secrets() []Secret
}
