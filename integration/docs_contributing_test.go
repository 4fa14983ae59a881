// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
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

// external is somebody else's Caddy, of the module that the page shows.
func external(t *testing.T) (program, caddyfile string) {
	t.Helper()
	text := page(t, contributingPage)
	code := fenced(contributingPage, text, "go")
	blocks := fenced(contributingPage, text, "caddyfile")
	if len(code) != 2 || len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of Go and %d Caddyfiles", len(code), len(blocks))
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, change := range map[string]string{
		// The same versions as here, so that nothing has to be looked for.
		"go.mod": "module example.org/caddy-notes",
		"go.sum": "",
	} {
		file, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if change != "" {
			change = regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(file), change) +
				"\nrequire github.com/caddy-delegate/caddy-delegate v0.0.0\nreplace github.com/caddy-delegate/caddy-delegate => " + root + "\n"
			file = []byte(change)
		}
		write(t, filepath.Join(dir, name), string(file))
	}
	if err := os.Mkdir(filepath.Join(dir, "notes"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "notes", "notes.go"), code[0].text)
	write(t, filepath.Join(dir, "main.go"), code[1].text)
	program = filepath.Join(dir, "caddy")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GONOSUMDB=*", "GONOSUMCHECK=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program, blocks[0].text
}

// TestExternalProvider protects who adds a provider of their own by the page: it
// builds as a module apart, imports delegation alone of this project, and its
// users are served as themselves, by one token each.
func TestExternalProvider(t *testing.T) {
	program, caddyfile := external(t)
	source := fenced(contributingPage, page(t, contributingPage), "go")[0].text
	for _, path := range regexp.MustCompile(`"(github.com/caddy-delegate/[^"]*)"`).FindAllStringSubmatch(source, -1) {
		if !strings.HasSuffix(path[1], "/caddymodule/delegation") {
			t.Errorf("it imports %s", path[1])
		}
	}
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
	const hash = " $2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK"
	caddyfile = strings.Replace(caddyfile, "https://notes.example.org", platform.URL, 1)
	caddyfile = strings.Replace(caddyfile, "{\n", "{\n\tadmin off\n\tpersist_config off\n", 1) +
		site + " {\n\tbasic_auth {\n\t\talice" + hash + "\n\t\tmallory" + hash + "\n\t}\n\tdelegate_proxy notes\n}\n"
	file := write(t, filepath.Join(t.TempDir(), "Caddyfile"), caddyfile)
	cmd := exec.CommandContext(t.Context(), program, "run", "--config", file)
	cmd.Env = append(os.Environ(), "NOTES_SECRET=planted", "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
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
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("it does not serve:\n%s", said)
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
