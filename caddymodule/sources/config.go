// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Config is one source with the client of one application: the catalogue's entry,
// its preset and the application's own settings as one. Placeholders are expanded,
// addresses absolute. It is not changed.
type Config struct {
	Name  string // [a-z0-9][a-z0-9_-]*
	Title string // as people read it
	Logo  []byte // at most 64 KiB
	// LogoType is image/svg+xml, image/png, image/jpeg or image/webp.
	LogoType string
	Ended    time.Time // of the vendor's service; zero: not known

	Protocol Protocol
	// AuthURL is the vendor's page, with the parameters that every flow has.
	AuthURL *url.URL
	// TokenURL answers the code, RefreshURL the refresh token; they may be the same.
	// For OAuth 1.0a TokenURL answers the verifier.
	TokenURL, RefreshURL *url.URL
	// RequestTokenURL is that of OAuth 1.0a; nil otherwise.
	RequestTokenURL *url.URL
	// API is the base of data calls, without a trailing slash.
	API *url.URL
	// FHIRBase is the operator's spelling of a FHIR server, byte for byte; "" for
	// other sources. With it AuthURL and TokenURL are nil and found by discovery.
	FHIRBase string
	// Issuer is the expected iss of a redirect (RFC 9207); "": any, or none.
	Issuer string

	ClientID     string
	ClientSecret delegation.Secret
	// LoadSecret reads the secret again, for one that was replaced.
	LoadSecret func() (delegation.Secret, error)
	ClientAuth ClientAuth
	// ClientKey is the PEM text of the private key, for ClientAuthKey.
	ClientKey delegation.Secret

	Scopes         []string // those to ask for, and the ceiling of `allow` lines; in the vendor's order
	ScopeSeparator string   // between them; "": a space
	NoScope        bool     // the parameter scope is never sent
	Covers         Covers   // when a granted scope covers a needed one
	NoPKCE         bool     // the vendor does not take code_challenge

	// AuthorizeParams, TokenParams and RefreshParams are added to the vendor's page,
	// the exchange of the code and that of the refresh token. The value
	// [RedirectURI] stands for ours.
	AuthorizeParams, TokenParams, RefreshParams map[string]string

	Reply   Reply
	Refresh RefreshKind
	// RefreshLife is how long an unused refresh token lives; 0: not known.
	RefreshLife time.Duration
	// Grace is how long the vendor takes a refresh token that it has replaced.
	Grace time.Duration

	Account *Lookup // whose account was connected; nil: the vendor does not say
	Label   *Lookup // how it is shown to its owner; nil: it is not
	Granted *Lookup // the granted scopes; nil: `scope` of the reply
	// AfterConnect is a call without which the vendor has no data; nil: none.
	AfterConnect *Call
	// Revoke has the vendor end a grant; nil: it offers nothing.
	Revoke *Call
	// Reserve are paths at the API's host that no data call may go to, nor below them,
	// such as other spellings of the token endpoint.
	Reserve []string

	// APIHeaders are added to every data call.
	APIHeaders map[string]delegation.Secret
	// APIRefused is how an answer of the API says, with a status of success, that it
	// does not accept the token; nil: by the status 401 alone.
	APIRefused *APIRefused

	// Signature is HMAC-SHA1 or HMAC-SHA256, for OAuth 1.0a.
	Signature string
	// CallbackAtAuthorize has OAuth 1.0a's oauth_callback on the vendor's page and
	// not in the request for a request token.
	CallbackAtAuthorize bool
	// SignatureInQuery has the parameters of OAuth 1.0a in the query of every request
	// and not in the header Authorization, which FatSecret does not read.
	SignatureInQuery bool

	// AllowPrivate lets the source's hosts be in private networks.
	AllowPrivate bool
	HTTP         *delegation.HTTP
}

// Protocol is how people consent.
type Protocol string

// The protocols.
const (
	OAuth2 Protocol = "oauth2"
	OAuth1 Protocol = "oauth1"
	SMART  Protocol = "smart" // OAuth 2 with discovery (SMART App Launch)
)

// ClientAuth is how the application proves at the token endpoint who it is (RFC 6749
// section 2.3, RFC 7523 section 2.2).
type ClientAuth string

// The kinds of client authentication.
const (
	ClientAuthBody  ClientAuth = "body"
	ClientAuthBasic ClientAuth = "basic"
	ClientAuthNone  ClientAuth = "none"
	ClientAuthKey   ClientAuth = "private_key_jwt"
)

// Covers is the rule by which granted scopes cover a needed one.
type Covers string

// The rules.
const (
	CoversEqual Covers = "equal"
	CoversSMART Covers = "smart" // patient/*.rs covers patient/Observation.rs; .read is .rs
)

// RefreshKind is what becomes of a refresh token when it is spent.
type RefreshKind string

// The kinds. A reply's refresh token always replaces the one before it.
const (
	RefreshRotates RefreshKind = "rotates" // each reply has another, and the former is spent
	RefreshKept    RefreshKind = "kept"    // it may be spent again
	RefreshNone    RefreshKind = "none"    // there is none: the access token lives as long as the consent
)

// RedirectURI is the value of a parameter that stands for our redirect URI.
const RedirectURI = "{redirect_uri}"

// Reply is how the token endpoint answers, where that is not as in RFC 6749 section
// 5.1. Names are paths of members, with dots between them, below Root.
type Reply struct {
	Root string // such as body; "": the answer itself
	// OK is the path of a member of the answer itself, and OKValue its value in a
	// reply that succeeded; "": the HTTP status says it.
	OK, OKValue string
	// RefusedAt is the path of a member of the answer itself, and Refused are its
	// values that say what invalid_grant does (RFC 6749 section 5.2), with any status
	// below 500: the code or refresh token is not accepted.
	RefusedAt string
	Refused   []string

	Access, Refresh, Scope string // default: access_token, refresh_token, scope

	// ExpiresIn is a life in ExpiresUnit (default 1 s), ExpiresAt a Unix time, and
	// ExpiresClaim a claim of an access token that is a JWT. Default: expires_in.
	ExpiresIn, ExpiresAt, ExpiresClaim string
	ExpiresUnit                        time.Duration
}

// Place is where a value is found.
type Place string

// The places.
const (
	InReply    Place = "reply"        // a member of the token endpoint's answer
	InRedirect Place = "redirect"     // a parameter of the redirect
	InIDToken  Place = "id_token"     // a claim of the reply's ID token
	InAccess   Place = "access_token" // a claim of an access token that is a JWT
	InAnswer   Place = "get"          // a member of what a GET of URL answers
)

// Lookup is where a value of a new consent is found. Or is tried if there is none.
type Lookup struct {
	In   Place
	URL  *url.URL // of InAnswer: on the API host
	Path string   // of members, with dots between them
	Or   *Lookup
}

// Call is one request to the vendor as the person. The values {access}, {refresh},
// {account}, {client_id}, {client_secret} and {id}, an identifier of ours for the
// person, may be parts of the address, of headers and of the body.
type Call struct {
	Method string
	URL    string
	// Form or JSON is the body; both empty: none.
	Form map[string]string
	JSON string
	// Auth is how the request authenticates: "bearer" with the access token, "basic" as
	// the client, "signed" by OAuth 1.0a, [AuthNonce] by a signature in its form, "" by
	// its address or body.
	Auth string
	// NonceURL answers with a nonce, for AuthNonce.
	NonceURL string
	// OK are the statuses that count as done. Default: every 2xx.
	OK []int
}
