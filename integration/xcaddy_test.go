// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestC31_ProxyThatForbids protects who builds behind a module proxy that answers
// 403 for what it does not know: what xcaddy has Go do fails there, and works with
// the proxies that the second line of the page on operations names.
func TestC31_ProxyThatForbids(t *testing.T) {
	setting := regexp.MustCompile(`(?m)^(GOPROXY="\$\(.*\)") xcaddy build`).FindStringSubmatch(page(t, operationsPage))
	if setting == nil {
		t.Fatal("the page has no such line")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	// What was downloaded is laid out as a proxy's answers.
	known := http.FileServer(http.Dir(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download")))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/github.com/caddy-delegate/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		known.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	get := func(line string) (string, error) {
		dir := t.TempDir()
		sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "go.sum"), string(sums))
		mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		// The same versions as here, so that nothing has to be looked for.
		write(t, filepath.Join(dir, "go.mod"), regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(mod), "module caddy")+
			"\nreplace github.com/caddy-delegate/caddy-delegate => "+root+"\n")
		cmd := exec.Command("sh", "-c", line+" go get -v github.com/caddy-delegate/caddy-delegate/caddymodule github.com/caddyserver/caddy/v2@v2.11.9")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY="+proxy.URL+",direct", "GOFLAGS=-mod=mod", "GONOSUMDB=*", "GOSUMDB=off", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := get(""); err == nil || !strings.Contains(out, "403") {
		t.Errorf("without it: %v\n%s", err, out)
	}
	if out, err := get(setting[1]); err != nil {
		t.Errorf("%s: %v\n%s", setting[1], err, out)
	}
}
