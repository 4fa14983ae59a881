// SPDX-License-Identifier: Apache-2.0

package sources

// Discovery changes what SMART's configuration says.
type Discovery struct {
	Relative bool `json:"relative"` // addresses are relative to the FHIR base
	Plain    bool `json:"plain"`    // code_challenge_methods_supported has plain too
	NoS256   bool `json:"noS256"`   // and S256 not
	// Members replace members or add some: an address in a private network, say.
	Members map[string]any `json:"members"`
}

// OAuth1Settings are the ways of OAuth 1.0a.
type OAuth1Settings struct {
	Methods []string `json:"methods"` // of signatures, that are taken
	// Window is by how many seconds a timestamp may be wrong.
	Window int `json:"window"`
	// Monotonic refuses a timestamp that is lower than one before, by consumer.
	Monotonic bool `json:"monotonic"`
	// CallbackAtAuthorize wants oauth_callback on the page, not with the request for
	// a request token.
	CallbackAtAuthorize bool `json:"callbackAtAuthorize"`
	// NoHeader takes parameters in the query or a form only.
	NoHeader bool `json:"noHeader"`
	// Unconfirmed leaves out oauth_callback_confirmed.
	Unconfirmed bool `json:"unconfirmed"`
	// NoVerifier gives none in the redirect; what arrives without one is refused.
	NoVerifier bool `json:"noVerifier"`
	// Denied is how the redirect tells that the person has declined: denied has the
	// request token, error is access_denied. Default: oauth_problem.
	Denied string `json:"denied"`
}
