// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"maps"
	"net/http"
	"regexp"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// smartScopes are those that the hospital's configuration names. Any other of the
// form of [smartScope] is taken too.
var smartScopes = []string{"launch/patient", "openid", "fhirUser", "offline_access", "patient/*.rs", "patient/*.read"}

// smartScope is the form of a scope for clinical data: of version 2, such as
// patient/Observation.rs, or 1, such as patient/Observation.read.
var smartScope = regexp.MustCompile(`^patient/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?|read|write|\*)$`)

// fhirBase is the FHIR server's address.
func (s *Settings) fhirBase(base string) string {
	if s.FHIRBase != "" {
		return s.FHIRBase
	}
	return base + s.Paths.Data
}

// keysPath is where the public key of ID tokens is.
const keysPath = "/.well-known/jwks.json"

// discovers reports whether the request asks for what nobody needs a token for.
func (c *call) discovers() bool {
	data := c.settings.Paths.Data
	return c.path == keysPath ||
		c.settings.Protocol == SMART && (c.path == data+"/.well-known/smart-configuration" || c.path == data+"/metadata")
}

// serveDiscovery answers with SMART's configuration (SMART App Launch 2, section
// Conformance), FHIR's capabilities or the vendor's keys.
func (c *call) serveDiscovery() {
	if !c.allow(http.MethodGet, http.MethodHead) {
		return
	}
	c.w.Header().Set("Access-Control-Allow-Origin", "*")
	switch c.path {
	case keysPath:
		c.serveKeys()
		return
	case c.settings.Paths.Data + "/metadata":
		c.capabilities()
		return
	}
	s := c.settings
	base := control.Base(c.Request)
	if s.Discovery.Relative {
		// Relative to the FHIR base, as to a folder.
		base = strings.Repeat("../", strings.Count(s.Paths.Data, "/"))
		base = strings.TrimSuffix(base, "/")
	}
	methods := []string{}
	if !s.Discovery.NoS256 {
		methods = append(methods, "S256")
	}
	if s.Discovery.Plain {
		methods = append(methods, "plain")
	}
	answer := map[string]any{
		"issuer":                                s.fhirBase(control.Base(c.Request)),
		"jwks_uri":                              control.Base(c.Request) + keysPath,
		"authorization_endpoint":                base + s.Paths.Authorize,
		"token_endpoint":                        base + s.Paths.Token,
		"grant_types_supported":                 []string{"authorization_code"},
		"code_challenge_methods_supported":      methods,
		"scopes_supported":                      s.Scopes,
		"token_endpoint_auth_methods_supported": authMethods(s.ClientAuth),
		"token_endpoint_auth_signing_alg_values_supported": []string{"RS384", "ES384"},
		"capabilities": []string{
			"launch-standalone", "sso-openid-connect", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"context-standalone-patient", "permission-offline", "permission-patient", "permission-v1", "permission-v2", "authorize-post",
		},
	}
	if s.Paths.Revoke != "" && s.Revoke == "form" {
		answer["revocation_endpoint"] = base + s.Paths.Revoke
	}
	maps.Copy(answer, s.Discovery.Members)
	c.json(http.StatusOK, answer)
}

// authMethods are the ways of client authentication by their registered names.
func authMethods(ways []string) (names []string) {
	for _, way := range ways {
		switch way {
		case "basic":
			names = append(names, "client_secret_basic")
		case "body":
			names = append(names, "client_secret_post")
		default:
			names = append(names, way)
		}
	}
	return names
}
