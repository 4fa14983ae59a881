// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// smartApp is what the app of products/fhirclient.mjs has of a person.
type smartApp struct {
	Token struct {
		Patient, Scope string
		Type           string `json:"token_type"`
		Expires        int    `json:"expires_in"`
		Refresh        string `json:"refresh_token"`
		IDToken        string `json:"id_token"`
	}
	Endpoints, Methods []string
	Patient            struct{ ID, ResourceType string }
	User               string
	Observations       []struct{ ResourceType string }
	Foreign            int
}

// TestSMARTClient protects the tests of hospitals from a simulated FHIR server that only
// our own code takes for one: npm's fhirclient, the SMART project's own, finds its
// endpoints, has a patient chosen, exchanges the code with PKCE, reads all pages of their
// records and no other's, and refreshes.
func TestSMARTClient(t *testing.T) {
	for name, client := range map[string]struct {
		secret  string
		setting func(*sources.Settings)
	}{
		"a public client":                {},
		"a confidential client":          {secret: "the app's secret"},
		"a server that takes plain, too": {setting: func(s *sources.Settings) { s.Discovery.Plain = true }},
	} {
		t.Run(name, func(t *testing.T) {
			vendor := sources.New(sources.Options{
				Preset: "smart", Accounts: sources.SampleAccounts(2), Clients: []sources.Client{{ID: "portal", Secret: client.secret, Name: "Portal"}},
			})
			if client.setting != nil {
				vendor.Set(client.setting)
			}
			server := httptest.NewServer(vendor)
			t.Cleanup(server.Close)
			app := newProduct(t, "fhirclient.mjs", map[string]any{
				"iss": server.URL + "/R4", "client": "portal", "secret": client.secret,
				"scope": "launch/patient openid fhirUser offline_access patient/*.rs",
			})
			browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			get := func(url string, want int) (http.Header, string) {
				t.Helper()
				res, err := browser.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				text, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != want {
					t.Fatalf("%s: %d %v %s", url, res.StatusCode, err, text)
				}
				return res.Header, string(text)
			}
			launched, _ := get(app.URL+"/launch", http.StatusFound)
			child := sources.SampleAccounts(1)[0].Patients[1].ID
			back, err := vendor.Decide(launched.Get("Location"), sources.Decision{Account: accountID(0), Patient: child})
			if err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{back, app.URL + "/refresh"} {
				_, text := get(url, http.StatusOK)
				var a smartApp
				if err := json.Unmarshal([]byte(text), &a); err != nil {
					t.Fatalf("%s: %v: %s", url, err, text)
				}
				if a.Token.Patient != child || a.Token.Refresh == "" || a.Token.Expires <= 0 || !strings.EqualFold(a.Token.Type, "bearer") || a.Patient.ID != child || a.Patient.ResourceType != "Patient" {
					t.Errorf("%s: %s", url, text)
				}
				if len(a.Observations) < 3 || slices.ContainsFunc(a.Observations, func(o struct{ ResourceType string }) bool { return o.ResourceType != "Observation" }) {
					t.Errorf("%s: not the observations of all pages: %s", url, text)
				}
				if !slices.Equal(a.Endpoints, []string{server.URL + "/auth/authorize", server.URL + "/auth/token"}) || !slices.Contains(a.Methods, "S256") || a.User == "" || a.Foreign != http.StatusNotFound {
					t.Errorf("%s: %s", url, text)
				}
			}
			if n := vendor.Counts(); n.Codes != 1 || n.Refreshed != 1 || n.WrongSecrets != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}
