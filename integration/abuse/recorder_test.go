// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// call is what the API was asked.
type call struct {
	method, uri, host string
	header            http.Header
	token             string
	echo              bool   // what was sent is the answer
	kind, participant string // of the token, by the platform
}

// apiRecorder notes what reaches the API.
type apiRecorder struct {
	mu       sync.Mutex
	platform *simulator.MyDataHelps
	calls    []call
	under    sync.WaitGroup
}

func recordAPI(r *rig) *apiRecorder {
	w := &apiRecorder{platform: r.Platform}
	r.Platform.Set(func(set *simulator.Settings) { set.AdminQuota, set.DelegatedQuota = 0, 0 })
	r.Intercept(func(rw http.ResponseWriter, req *http.Request, platform http.Handler) {
		if req.Method == http.MethodPost && req.RequestURI == "/identityserver/connect/token" {
			platform.ServeHTTP(rw, req) // the proxy's own
			return
		}
		w.under.Add(1)
		defer w.under.Done()
		c := call{method: req.Method, uri: req.RequestURI, host: req.Host, header: req.Header.Clone()}
		c.echo = strings.Contains(strings.ToLower(req.URL.Path), "simulator.echo")
		_, c.token, _ = strings.Cut(req.Header.Get("Authorization"), " ")
		w.mu.Lock()
		w.calls = append(w.calls, c)
		w.mu.Unlock()
		rw.Header().Set("Set-Cookie", canary+"=1")
		platform.ServeHTTP(rw, req)
	})
	return w
}

// end returns what was called since the last time.
func (w *apiRecorder) end() []call {
	w.under.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	records := w.platform.Records()
	for i := range calls {
		for _, record := range slices.Backward(records) {
			if record.URI == calls[i].uri && record.Method == calls[i].method {
				calls[i].kind, calls[i].participant = record.TokenKind, record.ParticipantID
				break
			}
		}
	}
	w.platform.Reset()
	return calls
}

// check tells what a call has that it must not have.
func (c call) check(signed bool) error {
	path, _, _ := strings.Cut(c.uri, "?")
	canonical, err := policy.Canonical(path)
	if err != nil || canonical != path {
		return fmt.Errorf("the path can be read in more than one way: %w", err)
	}
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT"}, c.method) {
		return fmt.Errorf("no line allows the method %s", c.method)
	}
	if strings.ContainsRune(c.uri, '#') {
		return fmt.Errorf("a fragment")
	}
	for name := range c.header {
		usual := slices.ContainsFunc([]string{"Accept", "Content-", "If-"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !usual && !slices.Contains(crossing, name) || strings.ContainsAny(name, "_.") {
			return fmt.Errorf("the header %s crossed", name)
		}
	}
	bearers := c.header["Authorization"]
	if strings.HasPrefix(path, "/api/v1/public/projects/") || strings.HasPrefix(path, "/api/v1/delegated/externalaccountproviders/") && strings.HasSuffix(path, "/logo") {
		if len(bearers) > 0 {
			return fmt.Errorf("a public route was sent a credential")
		}
		return nil
	}
	switch {
	case !strings.HasPrefix(path, "/api/v1/delegated/") && !strings.HasPrefix(path, "/api/v2/delegated/"):
		return fmt.Errorf("no line allows it")
	case !signed:
		return fmt.Errorf("nobody is signed in")
	case len(bearers) != 1 || c.kind != "participant" || c.participant != stack.Alice.ID:
		return fmt.Errorf("%d credentials", len(bearers))
	}
	return nil
}

// faults are what is wrong with the calls since the last time, and with the
// answer to them.
func (w *apiRecorder) faults(answer string, signed bool) (faults []error) {
	calls := w.end()
	for _, call := range calls {
		if err := call.check(signed); err != nil {
			faults = append(faults, fmt.Errorf("%w: %+v", err, call))
		}
		// The echo has it by design.
		if call.token != "" && !call.echo && strings.Contains(answer, call.token) {
			faults = append(faults, errors.New("the token is in the answer"))
		}
	}
	if n := strings.Count(answer, "HTTP/1."); len(calls) > n+1 {
		faults = append(faults, fmt.Errorf("%d calls, %d answers", len(calls), n))
	}
	if strings.Contains(answer, canary) {
		faults = append(faults, errors.New("the platform's cookie is in the answer"))
	}
	return faults
}

// TestWatch protects the fuzz test from seeing nothing: each rule of it has a
// call that breaks it.
func TestWatch(t *testing.T) {
	good := call{method: "GET", uri: apiParticipant, kind: "participant", participant: stack.Alice.ID, header: http.Header{"Authorization": {"Bearer t"}, "Accept": {"*/*"}}}
	if err := good.check(true); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*call){
		"another's":       func(c *call) { c.participant = stack.Bob.ID },
		"the service's":   func(c *call) { c.kind = "service" },
		"two credentials": func(c *call) { c.header["Authorization"] = []string{"a", "b"} },
		"no credential":   func(c *call) { delete(c.header, "Authorization") },
		"a way out":       func(c *call) { c.uri = "/api/v1/delegated/../administration" },
		"another route":   func(c *call) { c.uri = "/api/v1/administration" },
		"a credential":    func(c *call) { c.uri = "/api/v1/public/projects/x/views/y" },
		"a method":        func(c *call) { c.method = "DELETE" },
		"a header":        func(c *call) { c.header["Cookie"] = []string{"a=b"} },
		"an alias":        func(c *call) { c.header["Accept_Encoding"] = []string{"x"} },
	} {
		bad := good
		bad.header = good.header.Clone()
		if change(&bad); bad.check(true) == nil {
			t.Errorf("%s: nothing is said", what)
		}
	}
	if good.check(false) == nil {
		t.Error("nobody is signed in, and nothing is said")
	}
}
