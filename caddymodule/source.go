// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddyserver/caddy/v2"

// Source is an integration source: a vendor's API that people connect, such as a
// wearable's or a hospital's. Without a preset it states all seven of Name,
// AuthHostURL, APIHostURL, AuthURL, RequestTokenURL, AccessTokenURL and FullAuthURL;
// with one, what it states replaces the preset's.
//
// All addresses accept {env.*} and {file.*}, and have to be https.
type Source struct {
	// Preset names a source that comes with this module; see `caddy delegate
	// sources list`. Default: none.
	Preset string `json:"preset,omitempty"`

	// Name is what people read, such as "City lab". Default: the preset's.
	Name string `json:"name,omitempty"`

	// AuthHostURL is the host of the page on which people consent.
	AuthHostURL string `json:"auth_host_url,omitempty"`

	// APIHostURL is the base of data calls: the only place that they go to.
	APIHostURL string `json:"api_host_url,omitempty"`

	// AuthURL is the page on which people consent: an address, or a path at
	// AuthHostURL.
	AuthURL string `json:"auth_url,omitempty"`

	// RequestTokenURL is where OAuth 1.0a begins: an address, or a path at
	// APIHostURL. `none`: the source speaks OAuth 2.
	RequestTokenURL string `json:"request_token_url,omitempty"`

	// AccessTokenURL is the token endpoint: an address, or a path at APIHostURL.
	AccessTokenURL string `json:"access_token_url,omitempty"`

	// FullAuthURL is the page on which people consent, with the parameters that it
	// always has; it replaces AuthHostURL and AuthURL. State, redirect URI, client and
	// PKCE in it are replaced by this module's. `auto`: AuthHostURL and AuthURL.
	FullAuthURL string `json:"full_auth_url,omitempty"`

	// ClientID is the application's at the vendor, unless `use` has one. Accepts
	// {env.*} and {file.*}.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecret is the application's, unless `use` has one. Give {file.*} or
	// {env.*}: a secret written here in clear shows in the config API.
	ClientSecret string `json:"client_secret,omitempty"`

	// Logo is a file of at most 64 KiB with an SVG, PNG, JPEG or WebP image, relative
	// to the working directory. Default: none.
	Logo string `json:"logo,omitempty"`

	// Regions are the hosts of vendors that have one set for each part of the world.
	Regions map[string]SourceRegion `json:"regions,omitempty"`

	// Region is the name in Regions whose hosts replace AuthHostURL and APIHostURL.
	Region string `json:"region,omitempty"`

	// FHIRBase is the base of a FHIR server, whose other addresses are found by
	// discovery (SMART App Launch). It is sent as `aud` as it is written here.
	FHIRBase string `json:"fhir_base,omitempty"`

	// RefreshURL answers the refresh token: an address, or a path at APIHostURL.
	// Default: AccessTokenURL.
	RefreshURL string `json:"refresh_url,omitempty"`

	// Issuer is the value of `iss` in the redirect (RFC 9207). Default: any, or none.
	Issuer string `json:"issuer,omitempty"`

	// ClientAuth is how the application proves who it is: `body`, `basic`, `none` or
	// `private_key_jwt`. Default: `private_key_jwt` with a ClientKey, else `body`; of a
	// FHIR server `basic`, and `none` without a secret.
	ClientAuth string `json:"client_auth,omitempty"`

	// ClientKey is the PEM text of the private key for `private_key_jwt`. Give
	// {file.*}.
	ClientKey string `json:"client_key,omitempty"`

	// Scopes are what people are asked for, in the vendor's order, and the most that
	// an `allow` line may name. `none` alone: the vendor takes no scopes.
	Scopes []string `json:"scopes,omitempty"`

	// ScopeSeparator stands between scopes. Default: a space.
	ScopeSeparator string `json:"scope_separator,omitempty"`

	// Covers is when a granted scope is enough for a route: `equal`, or `smart`, by
	// which patient/*.rs is enough for patient/Observation.rs. Default: `equal`; of
	// a FHIR server `smart`.
	Covers string `json:"covers,omitempty"`

	// PKCE is `on`, or `off` for a vendor that does not take code_challenge.
	// Default: `on`.
	PKCE string `json:"pkce,omitempty"`

	// AuthorizeParams are added to the vendor's page. The value {redirect_uri}
	// stands for this module's; so it does in TokenParams and RefreshParams.
	AuthorizeParams map[string]string `json:"authorize_params,omitempty"`

	// TokenParams are added to the exchange of the code.
	TokenParams map[string]string `json:"token_params,omitempty"`

	// RefreshParams are added to the exchange of the refresh token.
	RefreshParams map[string]string `json:"refresh_params,omitempty"`

	// Reply is where the token endpoint's answer departs from RFC 6749.
	Reply *SourceReply `json:"reply,omitempty"`

	// Refresh is what becomes of a refresh token that is spent: `rotates`, `kept`, or
	// `none` if there is none. Default: `rotates`.
	Refresh string `json:"refresh,omitempty"`

	// RefreshLife is how long an unused refresh token lives. Default: not known.
	RefreshLife caddy.Duration `json:"refresh_life,omitempty"`

	// Grace is how long the vendor takes a refresh token that it has replaced.
	// Default: not at all.
	Grace caddy.Duration `json:"grace,omitempty"`

	// Account is where the vendor says whose account was connected; tried in order.
	// Default: it does not.
	Account []SourceLookup `json:"account,omitempty"`

	// Label is how the account is shown to its owner. Default: it is not.
	Label []SourceLookup `json:"label,omitempty"`

	// Granted is where the granted scopes are. Default: `scope` of the answer.
	Granted []SourceLookup `json:"granted,omitempty"`

	// AfterConnect is a call without which the vendor has no data. Default: none.
	AfterConnect *SourceCall `json:"after_connect,omitempty"`

	// Revoke has the vendor end a grant. Default: none.
	Revoke *SourceCall `json:"revoke,omitempty"`

	// Reserve are paths at the API's host that no request may go to, nor below them,
	// such as other addresses of the token endpoint. Default: none.
	Reserve []string `json:"reserve,omitempty"`

	// APIHeaders are added to every data call. Values accept {env.*} and {file.*}.
	APIHeaders map[string]string `json:"api_headers,omitempty"`

	// APIRefused is how the API says, with a status of success, that it does not accept
	// the token. Default: by the status 401 alone.
	APIRefused *SourceRefused `json:"api_refused,omitempty"`

	// Signature is that of OAuth 1.0a: `HMAC-SHA1` or `HMAC-SHA256`. Default:
	// `HMAC-SHA1`.
	Signature string `json:"signature,omitempty"`

	// SignatureIn is where OAuth 1.0a's parameters stand: `header`, or `query`.
	// Default: `header`.
	SignatureIn string `json:"signature_in,omitempty"`

	// CallbackAt is where OAuth 1.0a has oauth_callback: `request_token`, or
	// `authorize` for the vendor's page. Default: `request_token`.
	CallbackAt string `json:"callback_at,omitempty"`

	// Ended is the day on which the vendor ends the source, such as 2026-12-31, or a
	// time by RFC 3339. Nobody can begin to connect it from then on. Default: none.
	Ended string `json:"ended,omitempty"`

	// AllowPrivate lets the source's hosts be in private networks or on this machine.
	AllowPrivate bool `json:"allow_private,omitempty"`

	// HTTP are the settings of connections to the vendor. Default: direct
	// connections.
	HTTP *HTTP `json:"http,omitempty"`
}

// SourceRegion are the hosts of a vendor in one part of the world.
type SourceRegion struct {
	// AuthHostURL is the host of the page on which people consent.
	AuthHostURL string `json:"auth_host_url,omitempty"`

	// APIHostURL is the base of data calls.
	APIHostURL string `json:"api_host_url,omitempty"`
}

// SourceRefused is what an answer of the API in JSON says of a token that is not
// accepted.
type SourceRefused struct {
	// Member is the path of a member, with dots between names.
	Member string `json:"member"`

	// Values are those of the member.
	Values []string `json:"values"`
}

// SourceReply is where a token endpoint's answer departs from RFC 6749. Values are
// paths of members, with dots between them.
type SourceReply struct {
	// Root is the member below which the others are. Default: the answer itself.
	Root string `json:"root,omitempty"`

	// OK is a member of the answer itself that has the value OKValue in an answer
	// that succeeded. Default: the status says it.
	OK      string `json:"ok,omitempty"`
	OKValue string `json:"ok_value,omitempty"`

	// RefusedAt is a member of the answer itself, and Refused are its values, by which
	// the vendor says, with any status below 500, that it does not accept the code or
	// refresh token. Default: `invalid_grant` as `error`.
	RefusedAt string   `json:"refused_at,omitempty"`
	Refused   []string `json:"refused,omitempty"`

	// Access is the access token. Default: `access_token`.
	Access string `json:"access,omitempty"`

	// Refresh is the refresh token. Default: `refresh_token`.
	Refresh string `json:"refresh,omitempty"`

	// Scope are the granted scopes. Default: `scope`.
	Scope string `json:"scope,omitempty"`

	// ExpiresIn is the life of the access token. Default: `expires_in`.
	ExpiresIn string `json:"expires_in,omitempty"`

	// ExpiresUnit is the unit of ExpiresIn. Default: `1s`.
	ExpiresUnit caddy.Duration `json:"expires_unit,omitempty"`

	// ExpiresAt is the end of the access token, in Unix seconds.
	ExpiresAt string `json:"expires_at,omitempty"`

	// ExpiresClaim is the claim with the end of an access token that is a JWT.
	ExpiresClaim string `json:"expires_claim,omitempty"`
}

// SourceLookup is where a value of a new consent is found.
type SourceLookup struct {
	// In is `reply`, `redirect`, `id_token`, `access_token`, `get`, or `none`.
	In string `json:"in"`

	// URL is asked with the new access token, for `get`: an address, or a path at
	// APIHostURL.
	URL string `json:"url,omitempty"`

	// Path is that of the member, parameter or claim, with dots between names.
	Path string `json:"path,omitempty"`
}

// SourceCall is a request to the vendor. {access}, {refresh}, {account}, {client_id},
// {client_secret} and {id}, this module's identifier of the person, may stand in URL,
// Form and JSON.
type SourceCall struct {
	// Method is the request's; `none`: there is no call.
	Method string `json:"method"`

	// URL is an address, or a path at APIHostURL.
	URL string `json:"url,omitempty"`

	// Auth is `bearer` (the access token), `basic` (the client), `signed` (OAuth 1.0a)
	// or `nonce` (the form is signed with the client's secret, as Withings wants it).
	// Default: none, the address or body says who it is.
	Auth string `json:"auth,omitempty"`

	// NonceURL answers with the nonce of `nonce`: an address, or a path at APIHostURL.
	NonceURL string `json:"nonce_url,omitempty"`

	// Form is the body.
	Form map[string]string `json:"form,omitempty"`

	// JSON is the body.
	JSON string `json:"json,omitempty"`

	// OK are the statuses that count as done. Default: every 2xx.
	OK []int `json:"ok,omitempty"`
}
