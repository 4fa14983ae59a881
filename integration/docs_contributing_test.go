// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

const contributingPage = "caddymodule/docs/CONTRIBUTING.md"

// TestContributingNamesWhatIsThere protects who comes to the code by the page:
// the files, functions, packages and tests that it names are there.
func TestContributingNamesWhatIsThere(t *testing.T) {
	text := page(t, contributingPage)
	paths := regexp.MustCompile("`((?:caddymodule|integration|cmd|\\.ci)(?:/[\\w.-]+)*/?|Makefile)`").FindAllStringSubmatch(text, -1)
	if len(paths) < 30 {
		t.Errorf("%d files and folders are named", len(paths))
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join("..", path[1])); err != nil {
			t.Errorf("there is no %s", path[1])
		}
	}
	// A row names functions and the file that they are in.
	row := regexp.MustCompile("(?m)^(?:\\||\\d+\\.).*?`(caddymodule/[\\w/.-]+\\.go)`(.*)$")
	function := regexp.MustCompile("`([\\w.]+)\\(\\)`")
	functions := 0
	for _, match := range row.FindAllStringSubmatch(text, -1) {
		source, err := os.ReadFile(filepath.Join("..", match[1]))
		if err != nil {
			continue // it was told
		}
		for _, name := range function.FindAllStringSubmatch(match[2], -1) {
			functions++
			if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name[1] + `[\[(]`).Match(source) {
				t.Errorf("%s has no function %s", match[1], name[1])
			}
		}
	}
	if functions < 15 {
		t.Errorf("%d functions are named", functions)
	}
	all := declaredTests(t)
	for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(text, -1) {
		if !strings.Contains(all, "\n"+name+"\n") {
			t.Errorf("there is no test %s", name)
		}
	}
}

// TestExternalProvider protects who adds a provider of their own by the page: it
// builds as a module apart, imports delegation alone of this project, and its
// users are served as themselves, by one token each.
func TestExternalProvider(t *testing.T) {
	text := page(t, contributingPage)
	code, blocks := fenced(contributingPage, text, "go"), fenced(contributingPage, text, "caddyfile")
	if len(code) != 3 || len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of Go and %d Caddyfiles", len(code), len(blocks))
	}
	program, caddyfile := buildExternal(t, "notes", code[0].text, code[1].text), blocks[0].text
	minted := make(chan string, 10)
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			_, password, _ := r.BasicAuth()
			if r.PostFormValue("participant") == "mallory" || password != "planted" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			minted <- r.PostFormValue("participant")
			_, _ = fmt.Fprintf(w, `{"access_token":"token of %s","expires_in":3600}`, r.PostFormValue("participant"))
		default:
			_, _ = io.WriteString(w, r.URL.Path+" with "+r.Header.Get("Authorization"))
		}
	}))
	t.Cleanup(platform.Close)
	number, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	site := fmt.Sprintf("http://127.0.0.1:%d", number)
	caddyfile = strings.Replace(caddyfile, "https://notes.example.org", platform.URL, 1)
	caddyfile = strings.Replace(caddyfile, "{\n", "{\n\tadmin off\n\tpersist_config off\n", 1) +
		site + " {\n" + basicAuth + "\n\tdelegate_proxy notes\n}\n"
	log := runExternal(t, program, caddyfile, "NOTES_SECRET=planted")
	get := func(user, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, "secret")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if status, _ := get("alice", "/notes/1"); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not serve:\n%s", readFile(t, log))
		}
	}
	if _, body := get("alice", "/notes/2"); body != "/notes/2 with Bearer token of alice" {
		t.Error(body)
	}
	if status, body := get("mallory", "/notes/1"); status != http.StatusForbidden || !strings.Contains(body, "participant_unknown") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get("alice", "/secrets"); status != http.StatusForbidden || !strings.Contains(body, "route_denied") {
		t.Errorf("%d %s", status, body)
	}
	if n := len(minted); n != 1 {
		t.Errorf("%d tokens were minted", n)
	}
}
