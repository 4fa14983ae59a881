// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// fhirSource returns a source of a FHIR server with the usual settings.
func fhirSource(t *testing.T, base string) *Config {
	t.Helper()
	c := &Config{
		Name: "st_mary", ClientID: "portal", AllowPrivate: strings.HasPrefix(base, "http://"),
		Scopes: []string{"launch/patient", "patient/*.rs", "offline_access"}, Account: &Lookup{In: InReply, Path: "patient"},
	}
	if err := (Addresses{FHIRBase: base}).Resolve(c); err != nil {
		t.Fatal(err)
	}
	c.SetDefaults()
	return c
}

// TestSMARTConfiguration protects people from being sent, and codes and secrets from
// being posted, to an address that a server could not mean; and sign-in at servers that
// write theirs otherwise than the specification has it. Each row changes the members of
// a usual answer; want is the addresses, or a part of the error.
func TestSMARTConfiguration(t *testing.T) {
	const auth = "https://login.stmary.example"
	for _, row := range []struct{ name, members, want string }{
		{"usual", ``, auth + "/authorize " + auth + "/token "},
		{"with revocation", `,"revocation_endpoint":"` + auth + `/revoke"`, auth + "/authorize " + auth + "/token " + auth + "/revoke"},
		{"a path", `,"token_endpoint":"/oauth2/token"`, auth + "/authorize https://fhir.stmary.example/oauth2/token "},
		{"relative to the base", `,"token_endpoint":"auth/token"`, auth + "/authorize https://fhir.stmary.example/R4/auth/token "},
		{"beside the base", `,"token_endpoint":"../auth/token"`, auth + "/authorize https://fhir.stmary.example/auth/token "},
		{"no scheme", `,"token_endpoint":"//auth.stmary.example/token"`, auth + "/authorize https://auth.stmary.example/token "},
		{"upper case, port, query", `,"token_endpoint":"HTTPS://Login.StMary.example:8443/token?tenant=1"`, auth + "/authorize " + auth + ":8443/token?tenant=1 "},
		{"S256 and plain", `,"code_challenge_methods_supported":["plain","S256"]`, auth + "/authorize " + auth + "/token "},
		{"null is none", `,"revocation_endpoint":null`, auth + "/authorize " + auth + "/token "},

		{"plain alone", `,"code_challenge_methods_supported":["plain"]`, "code_challenge_methods_supported"},
		{"no methods", `,"code_challenge_methods_supported":null`, "code_challenge_methods_supported"},
		{"methods as text", `,"code_challenge_methods_supported":"S256"`, "code_challenge_methods_supported"},
		{"no token endpoint", `,"token_endpoint":null`, "missing"},
		{"no authorization endpoint", `,"authorization_endpoint":null`, "missing"},
		{"empty", `,"token_endpoint":""`, "token_endpoint is no address"},
		{"a list", `,"token_endpoint":["planted"]`, "token_endpoint is no address"},
		{"http", `,"token_endpoint":"http://planted.example/token"`, "token_endpoint is http"},
		{"script", `,"authorization_endpoint":"javascript:planted()"`, "authorization_endpoint is no address"},
		{"no host", `,"token_endpoint":"https:///planted"`, "token_endpoint is no address"},
		{"user", `,"token_endpoint":"https://planted:planted@login.stmary.example/token"`, "token_endpoint holds a user"},
		{"fragment", `,"authorization_endpoint":"https://login.stmary.example/#planted"`, "authorization_endpoint holds a fragment"},
		{"control character", `,"token_endpoint":"https://login.stmary.example/\u0000planted"`, "token_endpoint is no address"},
		{"too long", `,"token_endpoint":"https://login.stmary.example/` + strings.Repeat("planted", 300) + `"`, "longer than"},
		{"loopback", `,"token_endpoint":"https://127.0.0.1/planted"`, "token_endpoint is on this machine"},
		{"localhost by http", `,"token_endpoint":"http://localhost/planted"`, "token_endpoint is on this machine"},
		{"metadata", `,"token_endpoint":"https://169.254.169.254/planted"`, "token_endpoint is on this machine"},
		{"mapped", `,"token_endpoint":"https://[::ffff:10.0.0.1]/planted"`, "token_endpoint is on this machine"},
		{"revocation by http", `,"revocation_endpoint":"http://planted.example/"`, "revocation_endpoint is http"},
	} {
		all := map[string]any{
			"authorization_endpoint": auth + "/authorize", "token_endpoint": auth + "/token",
			"code_challenge_methods_supported": []any{"S256"}, "capabilities": []any{"launch-standalone"},
		}
		changed, err := strictjson.Decode([]byte(`{"version":2` + row.members + `}`))
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		maps.Copy(all, changed)
		e, err := fhirSource(t, "https://fhir.stmary.example/R4/").readSMARTConfiguration(all)
		if err != nil {
			if !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "planted") {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		revocation := ""
		if e.revocation != nil {
			revocation = e.revocation.String()
		}
		if got := fmt.Sprint(e.authorize, " ", e.token, " ", revocation); got != row.want || e.refresh != e.token {
			t.Errorf("%s: %s", row.name, got)
		}
	}
}

// TestSMARTSettingsBeforeDiscovery protects what an operator has decided from what a
// server says of itself.
func TestSMARTSettingsBeforeDiscovery(t *testing.T) {
	c := fhirSource(t, "https://fhir.stmary.example/R4")
	c.NoPKCE, c.Issuer, c.Revoke = true, "https://operator.example", &Call{Method: "DELETE", URL: "https://fhir.stmary.example/R4/mine"}
	e, err := c.readSMARTConfiguration(map[string]any{
		"authorization_endpoint": "/a", "token_endpoint": "/t", "revocation_endpoint": "/r", "issuer": "https://server.example",
	})
	if err != nil || e.issuer != c.Issuer || e.revoke != c.Revoke || e.revocation != nil {
		t.Errorf("%+v, %v", e, err)
	}
	c.Issuer = ""
	if e, err = c.readSMARTConfiguration(map[string]any{"authorization_endpoint": "/a", "token_endpoint": "/t", "issuer": "https://server.example"}); err != nil || e.issuer != "https://server.example" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestFHIRBase protects `aud`, which servers compare byte for byte: it is the operator's
// spelling, whatever calls are sent to.
func TestFHIRBase(t *testing.T) {
	for base, api := range map[string]string{
		"https://fhir.stmary.example/R4":      "https://fhir.stmary.example/R4",
		"https://fhir.stmary.example/R4/":     "https://fhir.stmary.example/R4",
		"https://FHIR.StMary.example:443/R4/": "https://fhir.stmary.example/R4",
	} {
		c := fhirSource(t, base)
		req, err := c.smartConfigurationRequest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want, _ := url.Parse(api + "/.well-known/smart-configuration")
		if c.FHIRBase != base || c.API.String() != api || *req.URL != *want {
			t.Errorf("%s: aud %s, calls to %s, discovery at %s", base, c.FHIRBase, c.API, req.URL)
		}
	}
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSMARTAsksForMore protects what a person has granted from a flow that asks for more
// (T64): the next grant takes its place, so that all of it is asked for again, in the
// ceiling of the source, and so is the choice of the patient.
func TestSMARTAsksForMore(t *testing.T) {
	c := fhirSource(t, "https://fhir.stmary.example/R4")
	for _, row := range []struct{ granted, named, want string }{
		{"", "", "launch/patient patient/*.rs offline_access"},
		{"", "patient/Condition.rs", "launch/patient offline_access patient/Condition.rs"},
		{"patient/Observation.rs", "patient/Condition.rs", "launch/patient offline_access patient/Condition.rs patient/Observation.rs"},
		{"patient/Observation.read patient/Condition.read", "patient/Condition.rs", "launch/patient offline_access patient/Condition.rs patient/Observation.read"},
		{"patient/*.cruds", "patient/Condition.rs", "launch/patient patient/*.rs offline_access patient/Condition.rs"},
		{"patient/Observation.cruds", "patient/Condition.rs", "launch/patient offline_access patient/Condition.rs"},
		{"user/Observation.rs openid", "patient/*.rs", "launch/patient patient/*.rs offline_access"},
	} {
		var g *delegation.Grant
		if row.granted != "" {
			g = &delegation.Grant{Scopes: strings.Fields(row.granted)}
		}
		if got := strings.Join(c.asked(strings.Fields(row.named), g), " "); got != row.want {
			t.Errorf("%q with %q asks for %q", row.named, row.granted, got)
		}
	}
}
