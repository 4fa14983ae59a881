// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// product is somebody else's session product from npm, which Node runs. Its
// script is in the folder products.
type product struct {
	URL string

	stop    func() // ends it, once
	t       testing.TB
	stdin   io.Writer
	answers *bufio.Reader
}

// newProduct starts a script, which ends with the test.
func newProduct(t testing.TB, script string, settings map[string]any) *product {
	t.Helper()
	// Only what the test itself reads tells `go test` that a result is out of date.
	for _, file := range []string{"open.mjs", script, "node_modules/.package-lock.json"} {
		if _, err := os.ReadFile(filepath.Join("products", file)); err != nil {
			t.Fatalf("run make test, or npm ci in integration/products: %v", err)
		}
	}
	if settings == nil {
		settings = map[string]any{}
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, string(text))
	cmd.Dir = "products"
	log := new(bytes.Buffer)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	p := &product{t: t, stdin: stdin, answers: bufio.NewReader(stdout)}
	p.stop = sync.OnceFunc(func() {
		defer hung.Stop()
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v\n%s", script, err, log)
		}
	})
	t.Cleanup(p.stop)
	p.URL, _ = p.answer()["url"].(string)
	return p
}

// do has the product do something that its operator would, and returns what
// that says.
func (p *product) do(command string) any {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, `{"do":"`+command+`"}`+"\n"); err != nil {
		p.t.Fatal(err)
	}
	a := p.answer()
	if a["error"] != nil {
		p.t.Fatalf("%s: %v", command, a["error"])
	}
	return a["done"]
}

func (p *product) answer() map[string]any {
	p.t.Helper()
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("the product has ended: %v", err)
	}
	var a map[string]any
	if err := json.Unmarshal(line, &a); err != nil {
		p.t.Fatalf("%v: %s", err, line)
	}
	return a
}

// overTLS is the product's address as another site of its own.
func (p *product) overTLS() string {
	p.t.Helper()
	target, err := url.Parse(p.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	p.t.Cleanup(front.Close)
	return front.URL
}

// visitor is a browser without scripts at a base address: it keeps cookies, and
// follows no redirect by itself.
type visitor struct {
	t      testing.TB
	base   string
	origin string // of its pages
	client *http.Client
}

func newVisitor(t testing.TB, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t, base, base, &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send sends a request to a path or an address, with headers in pairs.
func (v *visitor) send(method, to, body string, headers ...string) answer {
	v.t.Helper()
	base, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	address, err := base.Parse(to)
	if err != nil {
		v.t.Fatal(err)
	}
	req, err := http.NewRequest(method, address.String(), strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (v *visitor) get(to string, headers ...string) answer {
	v.t.Helper()
	return v.send(http.MethodGet, to, "", headers...)
}

// post sends a form as a page of the same site does.
func (v *visitor) post(to string, form url.Values, headers ...string) answer {
	v.t.Helper()
	return v.send(http.MethodPost, to, form.Encode(), append(headers, "Content-Type", "application/x-www-form-urlencoded", "Origin", v.origin)...)
}

// follow goes on from a redirect, and from those that follow, while they stay
// at the same site. It returns the last answer.
func (v *visitor) follow(a answer) answer {
	v.t.Helper()
	for range 10 {
		to := a.Header.Get("Location")
		if to == "" || a.StatusCode < 300 || a.StatusCode > 399 {
			return a
		}
		next, err := a.Request.URL.Parse(to)
		if err != nil {
			v.t.Fatal(err)
		}
		if next.Host != a.Request.URL.Host {
			return a
		}
		a = v.get(next.String())
	}
	v.t.Fatal("redirected without end")
	return a
}

// cookies are those that the visitor sends to the site, by name.
func (v *visitor) cookies() map[string]string {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	all := make(map[string]string)
	for _, c := range v.client.Jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

// want fails the test unless the visitor, or who has the headers, gets the data
// of the participant with an ID.
func (v *visitor) want(id string, headers ...string) {
	v.t.Helper()
	a := v.get(participantPath, headers...)
	a.want(v.t, http.StatusOK, "")
	if !strings.Contains(a.body, id) {
		v.t.Fatalf("somebody else's data, want those of %s: %s", id, a.body)
	}
}

// refused fails the test unless there is no session.
func (v *visitor) refused(headers ...string) {
	v.t.Helper()
	v.get(participantPath, headers...).want(v.t, http.StatusUnauthorized, "session_required")
}

// refusedSoon is refused once what was answered before counts no more.
func (v *visitor) refusedSoon(headers ...string) {
	v.t.Helper()
	eventually(v.t, "there is no session", func() bool {
		return v.get(participantPath, headers...).code() == "session_required"
	})
}

// bearer is the header of an access token.
func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// behind is a Caddyfile for an app that a product is part of: the app's pages,
// and the platform behind an app_session of the given lines.
func behind(app, session, site string) string {
	return encrypted(caddyfileOf("", `
	handle_path /mdh/* {
		app_session {`+session+`
		}
		delegate_proxy mydatahelps
	}
	`+site+`
	handle {
		reverse_proxy `+app+`
	}`))
}

// siteOf is where a Caddyfile of behind has its site.
func siteOf(s *stack.Stack) string { return fmt.Sprintf("https://localhost:%d", s.Port) }

// identified is a participant with the identifier of an app's user.
func identified(p simulator.Participant, identifier string) simulator.Participant {
	p.Identifier = identifier
	return p
}
