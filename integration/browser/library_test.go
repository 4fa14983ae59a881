// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const frontendPage = "../../caddymodule/docs/frontend.md"

func frontend(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(frontendPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// components is the page's table: what each part of the component library calls.
func components(t *testing.T, text string) map[string][]string {
	t.Helper()
	table := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\| (.*) \\|$").FindAllStringSubmatch(text, -1) {
		table[row[1]] = []string{}
		for _, call := range regexp.MustCompile("`([A-Z]+) ([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			table[row[1]] = append(table[row[1]], call[1]+" /api/v1/delegated/"+call[2])
		}
	}
	if len(table) < 20 {
		t.Fatalf("%d components are in the table", len(table))
	}
	return table
}

// scopes is the page's other table: the scope that a call needs, none perhaps.
func scopes(t *testing.T, text string) map[string]string {
	t.Helper()
	table := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+) ([^`]+)` \\| (?:`([^`]+)`|none) \\|").FindAllStringSubmatch(text, -1) {
		table[row[1]+" /api/v1/delegated/"+row[2]] = row[3]
	}
	if len(table) < 8 {
		t.Fatalf("%d calls are in the table", len(table))
	}
	return table
}

// policies are the Content-Security-Policy of the page, one for each mode.
func policies(t *testing.T, text string, platform string) (proxy, token string) {
	t.Helper()
	found := regexp.MustCompile("(?m)^\\s*header Content-Security-Policy (\".*\")$").FindAllStringSubmatch(text, -1)
	if len(found) != 2 {
		t.Fatalf("%d policies", len(found))
	}
	at := strings.NewReplacer("https://mydatahelps.org", platform)
	return at.Replace(found[0][1]), at.Replace(found[1][1])
}

// TestK1_K2_K4_K6_K8_ComponentLibrary protects who builds with MyDataHelps' component library
// by the page for frontend developers (K1 to K6): set up by its examples, under
// its policies, every part shows its data, by the calls and scopes of its
// tables; and whoever may not is told why.
func TestK1_K2_K4_K6_K8_ComponentLibrary(t *testing.T) {
	text := frontend(t)
	table, needed := components(t, text), scopes(t, text)
	var allow, all []string
	for call, scope := range needed {
		allow = append(allow, "allow "+call+" "+scope)
		if scope != "" && !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	slices.Sort(allow)
	for name, calls := range table {
		for _, call := range calls {
			if _, ok := needed[call]; !ok {
				t.Errorf("%s: the table of scopes lacks %s", name, call)
			}
		}
	}
	s, err := stack.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	// The SDK takes messages of some hosts alone; localhost is one of them.
	s.PlatformURL = strings.Replace(s.PlatformURL, "127.0.0.1", "localhost", 1)
	s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 100_000 })
	bundle := t.TempDir()
	s.App.Handle("/app/", http.StripPrefix("/app/", http.FileServer(http.Dir(bundle))))

	proxy, token := policies(t, text, s.PlatformURL)
	provider := regexp.MustCompile(`scopes +api .*`).ReplaceAllString(stack.Provider, "scopes "+strings.Join(append(all, "Participant:read", "File:write", "File:read", "SurveyAnswers:read"), " "))
	site := func(host, tokens, headers string) string {
		return fmt.Sprintf(`
http://%s:[[.Port]] {
	handle_path /mdh/* {%[2]s
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
			%[3]s
			allow GET /api/v1/delegated/participant Participant:read
			allow GET /api/v1/delegated/surveyanswers SurveyAnswers:read
		}
	}
	handle /mdh-token {%[2]s
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
			%[4]s
		}
	}
	handle /mdh-survey-token {%[2]s
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
			scopes Participant:read
		}
	}
	handle {
		%[5]s
		reverse_proxy [[.AppAddr]]
	}
}`, host, stack.SignIn, strings.Join(allow, "\n\t\t\t"), tokens, headers)
	}
	caddyfile := "{" + stack.Options + "\n\tdelegate {" + provider + "\n\t}\n}\n" +
		site("127.0.0.1", "proxy /mdh/", "@surveys query surveys=1\n\t\t@others not query surveys=1\n\t\theader @surveys Content-Security-Policy "+token+"\n\t\theader @others Content-Security-Policy "+proxy) +
		site("localhost", "", "header Content-Security-Policy "+token)
	if err := s.Load(caddyfile); err != nil {
		t.Fatal(err)
	}
	documented, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	// What one part's call has changed is not the next one's.
	cookies := make([]string, 2*len(table))
	for n := range cookies {
		visitor := simulator.Participant{Identifier: fmt.Sprintf("alice-%d", n), FirstName: "Alice"}
		s.Platform.AddParticipant(visitor)
		cookies[n] = stack.CookieName + "=" + s.App.SignIn(visitor.Identifier, time.Time{})
	}
	visitors, err := json.Marshal(cookies)
	if err != nil {
		t.Fatal(err)
	}
	node(t, s, []string{"--test-timeout=900000", "library.test.mjs"},
		"PROXY_URL="+s.URL(), fmt.Sprintf("TOKEN_URL=http://localhost:%d", s.Port), "BUNDLE="+bundle, "COMPONENTS="+string(documented), "VISITORS="+string(visitors))
}
