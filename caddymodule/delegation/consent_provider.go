// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// A provider whose people have to consent at the platform implements
// [ConsentStarter], and of the other interfaces here those that its platform needs.
// The host owns everything else: flows and their states, the browser's cookie,
// tickets, the database, memory, the pace of suspensions, logs and metrics. So a
// provider cannot bind a grant to the wrong person by a mistake in any of them.

// ConsentStarter is implemented by a provider whose people have to consent before
// it may act for them.
type ConsentStarter interface {
	// StartConsent prepares one person's consent at the platform, and returns
	// where their browser has to go, or what the page's widget needs. Nothing is
	// in the database yet. The error is a [*Refusal].
	StartConsent(ctx context.Context, flow *ConsentStart) (*ConsentPage, error)
}

// ConsentStart is a consent flow that is about to begin.
type ConsentStart struct {
	Person
	// Source is the data source to connect, for providers with several.
	Source string
	// Scopes are those to ask for; empty: the provider's.
	Scopes []string
	// Grant is the one that the person has in use, or that is suspended; nil if
	// none.
	Grant *Grant
	// Update asks a person who is connected to consent to more. Grant is set.
	Update bool
	// Claim is the value by which the session names the person at the platform:
	// the subject, unless the provider's [Traits] name another placeholder.
	Claim string
	// Native reports that a native app begins, whose library hands over what it
	// has got with neither session nor cookie.
	Native bool
	// Recover reports that the platform's widget has not taken what an earlier
	// [ConsentPage] had of the person's grant, such as a public token.
	Recover bool
	// ReturnURL is where the browser is to come back to: an absolute URL with the
	// query parameter state (RFC 6749 section 10.12).
	ReturnURL string
	// State is that parameter's value. CorrelationID is another random value, for
	// a platform whose server repeats it in its callback. Neither may be told to
	// the browser but as part of the platform's page.
	State, CorrelationID Secret
	// Verifier is a random value for the code verifier of PKCE (RFC 7636 section
	// 4.1), which the flow's [Redemption] has again.
	Verifier Secret
}

// ConsentPage is where a browser consents: a page of the platform, or a widget in
// the app's own page.
type ConsentPage struct {
	// URL is the platform's page. It works once. Empty for a widget.
	URL string
	// QR is the URL as an image, in a data URL; may be empty.
	QR string
	// Widget is what the app's page gives the platform's widget, by the names of
	// the JSON that answers POST /start. It holds no secret.
	Widget map[string]string
	// Secret is kept sealed with the flow, for its [Redemption].
	Secret Secret
}

// CallbackReader is implemented by a provider whose platform's server calls.
type CallbackReader interface {
	// ReadCallback reads a call of the platform's server. The body is bounded
	// already. The error's text is for the log: it holds no secret and names
	// nobody. It wraps [ErrForged] if the call does not come from the platform.
	ReadCallback(ctx context.Context, r *http.Request) (*Callback, error)
}

// Callback is a call of the platform's server.
type Callback struct {
	// Kind says what the call is about. Only that of [CallbackConsent] has the
	// fields below.
	Kind CallbackKind
	// CorrelationID is the one of the flow's [ConsentStart].
	CorrelationID string
	// Result is what the person has consented to.
	Result ConsentResult
}

// Redeemer is implemented by a provider for which something that the browser or an
// app brings has to be exchanged: a code of RFC 6749, or a widget's one-time token.
type Redeemer interface {
	// OneTimeToken returns the value that can be exchanged once. handed is the
	// query of a redirect, or the fields of what a page has posted to /redeem. The
	// error is a [*Refusal], such as token_rejected if there is none. After
	// consent_denied the flow has ended: that is for a redirect of another issuer
	// (iss, RFC 9207 section 2.4). Of one with the parameter error nothing but that
	// counts.
	OneTimeToken(handed url.Values) (Secret, error)

	// Redeem exchanges it. It is called by one at a time for each token, on
	// whatever machine. A result with an Account beside an error is a consent that
	// stands at the platform and leads to nothing here: the host has it ended by the
	// [GrantRevoker], unless a grant in use has the account. The error is a [*Refusal].
	// Its code says what became of the token: token_rejected, consent_denied and account_conflict are the
	// platform's last word; after any other the outcome is unknown, and the same
	// flow may try again.
	Redeem(ctx context.Context, r *Redemption) (*ConsentResult, error)
}

// Redemption is one exchange.
type Redemption struct {
	// Person is whose flow it is. Scopes, ReturnURL, Verifier and Secret are those
	// of [ConsentStart] and [ConsentPage].
	Person
	Source    string
	Scopes    []string
	ReturnURL string
	Verifier  Secret
	Secret    Secret
	// Grant is the one that the person has; nil if none.
	Grant *Grant
	// Handed is what the browser or app has brought, and Token the value that
	// [Redeemer.OneTimeToken] found in it.
	Handed url.Values
	Token  Secret
}

// ConsentResult is what a consent has led to, before it counts.
type ConsentResult struct {
	// Account is who the person is at the platform: 1 to 1024 bytes.
	Account string
	// Label is how the account is shown to its owner; may be empty.
	Label string
	// Scopes are those that were granted; nil if the platform does not say.
	Scopes []string
	// Secret is the provider's own value.
	Secret Secret
	// Tokens are the credentials of OAuth; may be zero.
	Tokens GrantTokens
	// Reply is what the page that posted to /redeem is told besides, such as a
	// public token. It holds no secret.
	Reply map[string]string
}

// GrantDecoder is implemented by a provider that keeps more in memory of a grant
// than the database has, such as its Secret decoded.
type GrantDecoder interface {
	// DecodeGrant returns the value for [Grant.Decoded]. It is called once for
	// each reading from the database. The error names no value of the grant, and
	// makes the person's requests fail as grants_unavailable.
	DecodeGrant(g *Grant) (any, error)
}

// ConsentProber is implemented by a provider that can ask its platform whether a
// grant's credential is accepted. Without, a credential is accepted until its use
// says otherwise, and a suspended grant ends with the next consent only.
type ConsentProber interface {
	// ProbeGrant asks. Its calls are few: once at the end of a flow where the
	// answer matters, and of a suspended grant once in ten minutes.
	ProbeGrant(ctx context.Context, g *Grant) ProbeResult
}

// ProbeResult is the platform's verdict on a credential.
type ProbeResult int

// The results of a probe.
const (
	ProbeAccepted ProbeResult = iota // it works
	ProbeUnknown                     // the answer, or its absence, says nothing of it
	ProbeRefused                     // the platform does not accept it
)

// ErrNotSent is wrapped by the error of a call of which no byte has left, so that
// nothing can have been spent.
var ErrNotSent = errors.New("the request was not sent")
