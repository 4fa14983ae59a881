// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A hospital's portal must lead by discovery to one patient's records, and to
// nobody else's.
func TestSMART(t *testing.T) {
	v := newVendor(t, "smart")
	found := v.send(http.MethodGet, "/R4/.well-known/smart-configuration", "")
	if found.text("authorization_endpoint") != v.base+"/auth/authorize" || found.text("token_endpoint") != v.base+"/auth/token" ||
		!strings.Contains(found.body, `"code_challenge_methods_supported":["S256"]`) {
		t.Fatalf("%s", found.body)
	}
	child := v.accounts[0].Patients[1]
	q := v.decide(v.authorize("scope=launch/patient patient/Observation.rs offline_access"), Decision{Patient: child.ID})
	tokens := v.redeem(q.Get("code"))
	access := tokens.text("access_token")
	if tokens.text("patient") != child.ID || tokens.text("scope") != "launch/patient patient/Observation.rs offline_access" || tokens.text("refresh_token") == "" {
		t.Fatalf("%s", tokens.body)
	}
	bundle := v.get("/R4/Observation?patient="+child.ID+"&_count=5", access)
	if bundle.status != http.StatusOK || bundle.json["total"] != 30.0 || !strings.Contains(bundle.body, `"relation":"next","url":"`+v.base+`/R4/Observation?`) {
		t.Errorf("search: %s", bundle.body)
	}
	for target, want := range map[string]int{
		"/R4/Observation/obs-" + child.ID + "-3":                          http.StatusOK,
		"/R4/Observation/obs-" + v.accounts[0].Patients[0].ID + "-3":      http.StatusNotFound,
		"/R4/Observation?patient=" + v.accounts[0].Patients[0].ID:         http.StatusForbidden,
		"/R4/Observation?subject=Patient/" + v.accounts[1].Patients[0].ID: http.StatusForbidden,
		"/R4/Patient/" + child.ID:                                         http.StatusForbidden, // not asked for
		"/R4/Nothing":                                                     http.StatusNotFound,
		"/R4/Observation?_count=x":                                        http.StatusBadRequest,
	} {
		if r := v.get(target, access); r.status != want || !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+json") {
			t.Errorf("%s: status %d, want %d", target, r.status, want)
		}
	}
	if r := v.send(http.MethodGet, "/R4/Observation", ""); r.status != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", r.status)
	}
	if r := v.send(http.MethodGet, "/R4/metadata", ""); r.text("resourceType") != "CapabilityStatement" {
		t.Errorf("capabilities: %s", r.body)
	}
	again := v.refresh(tokens.text("refresh_token"))
	if r := v.get("/R4/Observation", again.text("access_token")); r.status != http.StatusOK {
		t.Errorf("refreshed: %s", r.body)
	}
}

// What SMART demands of a client must be demanded: aud byte for byte, S256, and a
// patient whom the account opens.
func TestSMARTStrict(t *testing.T) {
	v := newVendor(t, "smart")
	for name, tt := range map[string]struct{ change, want string }{
		"no aud":            {"aud", "invalid_request"},
		"slash after aud":   {"aud=" + v.base + "/R4/", "invalid_request"},
		"no PKCE":           {"code_challenge", "invalid_request"},
		"unknown scope":     {"scope=patient/Observation.delete", "invalid_scope"},
		"scope of a system": {"scope=system/*.rs", "invalid_scope"},
	} {
		if q := v.decide(v.authorize(tt.change), Decision{}); q.Get("error") != tt.want {
			t.Errorf("%s: %v", name, q)
		}
	}
	if _, err := v.Decide(v.authorize(), Decision{Patient: v.accounts[1].Patients[0].ID}); err == nil {
		t.Error("another account's patient is taken")
	}
	v.Set(func(s *Settings) { s.FHIRBase = "https://FHIR.example/R4/" })
	if q := v.decide(v.authorize("aud=https://FHIR.example/R4/"), Decision{}); !q.Has("code") {
		t.Errorf("another spelling: %v", q)
	}
}

func TestSMARTCovers(t *testing.T) {
	for _, tt := range []struct {
		scope, kind  string
		read, search bool
	}{
		{"patient/*.rs", "Observation", true, true},
		{"patient/Observation.rs", "Observation", true, true},
		{"patient/Observation.r", "Observation", true, false},
		{"patient/Observation.s", "Observation", false, true},
		{"patient/Observation.cruds", "Observation", true, true},
		{"patient/Observation.cud", "Observation", false, false},
		{"patient/Observation.read", "Observation", true, true},
		{"patient/Observation.write", "Observation", false, false},
		{"patient/*.*", "Observation", true, true},
		{"patient/Condition.rs", "Observation", false, false},
		{"user/*.rs", "Observation", false, false},
		{"launch/patient", "Patient", false, false},
	} {
		if r, s := smartCovers([]string{tt.scope}, tt.kind, 'r'), smartCovers([]string{tt.scope}, tt.kind, 's'); r != tt.read || s != tt.search {
			t.Errorf("%s of %s: read %v, search %v", tt.scope, tt.kind, r, s)
		}
	}
}

// The configuration must be wrong in the ways that settings name.
func TestDiscoveryQuirks(t *testing.T) {
	v := newVendor(t, "smart")
	v.Set(func(s *Settings) {
		s.Discovery = Discovery{Relative: true, Plain: true, NoS256: true, Members: map[string]any{"token_endpoint": "https://10.0.0.1/token"}}
	})
	r := v.send(http.MethodGet, "/R4/.well-known/smart-configuration", "")
	base, err := url.Parse(v.base + "/R4/")
	if err != nil {
		t.Fatal(err)
	}
	page, err := base.Parse(r.text("authorization_endpoint"))
	if err != nil || page.String() != v.base+"/auth/authorize" || r.text("authorization_endpoint") == page.String() {
		t.Errorf("relative: %q, %v", r.text("authorization_endpoint"), err)
	}
	if r.text("token_endpoint") != "https://10.0.0.1/token" || !strings.Contains(r.body, `"code_challenge_methods_supported":["plain"]`) {
		t.Errorf("%s", r.body)
	}
}

// An ID token must be good by the key that is published, and have the nonce.
func TestIDToken(t *testing.T) {
	v := newVendor(t, "huawei")
	tokens := v.redeem(v.code("nonce=n-1", "access_type=offline"))
	jws, err := jose.ParseSignedCompact(tokens.text("id_token"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatalf("%v in %s", err, tokens.body)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(v.send(http.MethodGet, keysPath, "").body), &set); err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(set)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iss, Sub, Aud, Nonce string }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Sub != v.accounts[0].ID || claims.Aud != clientID || claims.Nonce != "n-1" || claims.Iss != v.base {
		t.Errorf("%s, %v", payload, err)
	}
}
