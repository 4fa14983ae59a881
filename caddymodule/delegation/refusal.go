// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"errors"
	"net/http"
	"time"
)

// Code is a reason not to forward a request. Codes are part of the API: frontends
// branch on them.
type Code string

// The codes of refusals, in the order in which a request meets them.
const (
	SessionRequired      Code = "session_required"
	CrossOrigin          Code = "cross_origin"
	PathAmbiguous        Code = "path_ambiguous"
	HeadersTooLarge      Code = "headers_too_large"
	BodyIncomplete       Code = "body_incomplete"
	BodyTooLarge         Code = "body_too_large"
	RouteDenied          Code = "route_denied"
	MethodNotAllowed     Code = "method_not_allowed"
	TooEarly             Code = "too_early"
	TooManyRequests      Code = "too_many_requests"
	ParticipantUnknown   Code = "participant_unknown"
	ParticipantAmbiguous Code = "participant_ambiguous"
	ParticipantWithdrawn Code = "participant_withdrawn"
	ConsentRequired      Code = "consent_required"
	ConsentDenied        Code = "consent_denied"
	FlowExpired          Code = "flow_expired"
	TokenRejected        Code = "token_rejected"
	AccountConflict      Code = "account_conflict"
	DelegationRefused    Code = "delegation_refused"
	CredentialsRejected  Code = "credentials_rejected"
	ScopeRejected        Code = "scope_rejected"
	NotDelegated         Code = "not_delegated"
	IssuerUnavailable    Code = "issuer_unavailable"
	IssuerThrottled      Code = "issuer_throttled"
	SessionUnavailable   Code = "session_unavailable"
	GrantsUnavailable    Code = "grants_unavailable"
	Overloaded           Code = "overloaded"
	UpstreamUnauthorized Code = "upstream_unauthorized"
	UpstreamRedirected   Code = "upstream_redirected"
	UpstreamUnreadable   Code = "upstream_unreadable"
	UpstreamUnavailable  Code = "upstream_unavailable"
	UpstreamTimeout      Code = "upstream_timeout"
	UpstreamDown         Code = "upstream_down"
)

// codeDetails is what a code means for the answer.
type codeDetails struct {
	status  int
	proxy   string // error type of RFC 9209 section 2.3
	message string // for the person at the screen; says nothing of anybody else
}

// The error types of RFC 9209 section 2.3. Few of them are used: the code says
// the rest.
const (
	proxyDenied      = "http_request_denied"
	proxyBadRequest  = "http_request_error"
	proxyConfig      = "proxy_configuration_error"
	proxyUnavailable = "destination_unavailable"
)

var detailsByCode = map[Code]codeDetails{
	SessionRequired:      {http.StatusUnauthorized, proxyDenied, "Sign in and try again."},
	CrossOrigin:          {http.StatusForbidden, proxyDenied, "This request came from another site."},
	PathAmbiguous:        {http.StatusBadRequest, proxyBadRequest, "The path can be read in more than one way."},
	HeadersTooLarge:      {http.StatusRequestHeaderFieldsTooLarge, proxyBadRequest, "The request's address and headers are too long."},
	BodyIncomplete:       {http.StatusBadRequest, proxyBadRequest, "The request's body did not arrive whole."},
	BodyTooLarge:         {http.StatusRequestEntityTooLarge, proxyBadRequest, "The request's body is too large."},
	RouteDenied:          {http.StatusForbidden, proxyDenied, "This route is not open to apps."},
	MethodNotAllowed:     {http.StatusMethodNotAllowed, proxyDenied, "This method is not open to apps on this route."},
	TooEarly:             {http.StatusTooEarly, proxyDenied, "Try again."},
	TooManyRequests:      {http.StatusTooManyRequests, proxyDenied, "A token was handed out a moment ago. Wait and try again."},
	ParticipantUnknown:   {http.StatusForbidden, proxyDenied, "Your account is not linked to a participant."},
	ParticipantAmbiguous: {http.StatusForbidden, proxyDenied, "Your account is linked to more than one participant."},
	ParticipantWithdrawn: {http.StatusForbidden, proxyDenied, "Your participation has ended."},
	ConsentRequired:      {http.StatusForbidden, proxyDenied, "Your consent is needed first."},
	ConsentDenied:        {http.StatusForbidden, proxyDenied, "You have not consented. You can begin anew."},
	FlowExpired:          {http.StatusGone, proxyDenied, "This took too long, or was done already. Begin anew."},
	TokenRejected:        {http.StatusUnprocessableEntity, proxyDenied, "The platform does not accept what was handed over. Begin anew."},
	AccountConflict:      {http.StatusConflict, proxyDenied, "This account is linked to another user."},
	DelegationRefused:    {http.StatusForbidden, proxyDenied, "The platform does not allow access for your account."},
	CredentialsRejected:  {http.StatusBadGateway, proxyConfig, "The platform does not accept this service. Its operator has to act."},
	ScopeRejected:        {http.StatusBadGateway, proxyConfig, "The platform does not grant this service the access it asks for. Its operator has to act."},
	NotDelegated:         {http.StatusInternalServerError, proxyConfig, "This request was not authorised. The operator of this service has to act."},
	IssuerUnavailable:    {http.StatusServiceUnavailable, proxyUnavailable, "The platform does not answer. Try again in a moment."},
	IssuerThrottled:      {http.StatusServiceUnavailable, proxyUnavailable, "The platform is busy. Try again in a moment."},
	SessionUnavailable:   {http.StatusServiceUnavailable, proxyUnavailable, "Your session cannot be checked right now. Try again in a moment."},
	GrantsUnavailable:    {http.StatusServiceUnavailable, proxyUnavailable, "Your connection cannot be read right now. Try again in a moment."},
	Overloaded:           {http.StatusServiceUnavailable, proxyUnavailable, "This service is busy. Try again in a moment."},
	UpstreamUnauthorized: {http.StatusBadGateway, "http_response_incomplete", "The platform does not accept the access it gave."},
	UpstreamRedirected:   {http.StatusBadGateway, "http_response_incomplete", "The platform sent this request elsewhere."},
	UpstreamUnreadable:   {http.StatusBadGateway, "http_response_incomplete", "The platform's answer cannot be read."},
	UpstreamUnavailable:  {http.StatusBadGateway, proxyUnavailable, "The platform cannot be reached. Try again in a moment."},
	UpstreamTimeout:      {http.StatusGatewayTimeout, "http_response_timeout", "The platform does not answer. Try again in a moment."},
	UpstreamDown:         {http.StatusServiceUnavailable, proxyUnavailable, "The platform cannot be reached. Try again in a moment."},
}

// The bounds of Retry-After on a 503.
const (
	DefaultRetryAfter = 5 * time.Second
	MaxRetryAfter     = 60 * time.Second
)

// Refusal is a decision not to forward a request. Its Error is its code and
// nothing else, because error pages show it.
type Refusal struct {
	Code Code

	// RetryAfter is how long the client is to wait; only used with status 429 and
	// 503, see [Refusal.BoundedRetryAfter].
	RetryAfter time.Duration

	// Expected reports that there is nothing for the operator to correct: it is
	// logged as a refused request, whatever its status.
	Expected bool

	// Allow lists the allowed methods; only used with method_not_allowed.
	Allow []string

	// RequiredScopes are the scopes that the request needs, where the person has
	// consented to less; only used with consent_required. The client is told them,
	// so that its page can ask for more.
	RequiredScopes []string

	cause   error
	message string // replaces the code's, unless empty
}

// Refuse returns a refusal. The cause is for the operator's log, never for the
// client; it must hold no secret, no participant and no answer's body. It may be
// nil.
func Refuse(code Code, cause error) *Refusal {
	return &Refusal{Code: code, cause: cause}
}

// WithMessage sets the sentence for the signed-in person, where that of the code
// would not be true, and returns the refusal.
func (r *Refusal) WithMessage(message string) *Refusal {
	r.message = message
	return r
}

// AsRefusal returns the refusal in err's chain. Any other error becomes the
// refusal issuer_unavailable: fail closed, worth another try.
func AsRefusal(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok && r != nil { // nil: a provider's mistake
		return r
	}
	return Refuse(IssuerUnavailable, err)
}

// Error returns the code.
func (r *Refusal) Error() string { return string(r.Code) }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.cause }

func (r *Refusal) details() codeDetails {
	if m, ok := detailsByCode[r.Code]; ok {
		return m
	}
	return codeDetails{http.StatusInternalServerError, "proxy_internal_error", "This request could not be handled."}
}

// Status is the HTTP status of the answer.
func (r *Refusal) Status() int { return r.details().status }

// ProxyError is the error type for the Proxy-Status header (RFC 9209 section 2.3).
func (r *Refusal) ProxyError() string { return r.details().proxy }

// Message is a sentence for the person at the screen.
func (r *Refusal) Message() string {
	if r.message != "" {
		return r.message
	}
	return r.details().message
}

// BoundedRetryAfter is the value of the Retry-After header: on a 503 from 1 s to
// [MaxRetryAfter], on a 429 at least 1 s, and zero (no header) otherwise.
func (r *Refusal) BoundedRetryAfter() time.Duration {
	switch r.Status() {
	case http.StatusTooManyRequests:
		return max(r.RetryAfter, time.Second)
	case http.StatusServiceUnavailable:
		if r.RetryAfter <= 0 {
			return DefaultRetryAfter
		}
		return min(max(r.RetryAfter, time.Second), MaxRetryAfter)
	default:
		return 0
	}
}
