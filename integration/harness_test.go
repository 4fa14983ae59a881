// SPDX-License-Identifier: Apache-2.0

// Package integration tests a whole Caddy with the delegate modules, in this
// process, against the simulated platform.
package integration

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// start runs the stack with a Caddyfile until the test ends.
func start(t testing.TB, caddyfile string, participants ...simulator.Participant) *stack.Stack {
	t.Helper()
	s := newStack(t, participants...)
	load(t, s, caddyfile)
	return s
}

// newStack starts everything but Caddy.
func newStack(t testing.TB, participants ...simulator.Participant) *stack.Stack {
	t.Helper()
	s, err := stack.New(t.TempDir(), participants...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// adapted is a Caddyfile template as JSON.
func adapted(t testing.TB, s *stack.Stack, caddyfile string) []byte {
	t.Helper()
	rendered, err := s.Render(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	config, err := stack.Adapt(rendered)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func load(t testing.TB, s *stack.Stack, caddyfile string) {
	t.Helper()
	if err := s.Load(caddyfile); err != nil {
		t.Fatalf("%v", err)
	}
}

// caddyfileOf is a Caddyfile with one site of the given body, and more lines of
// the delegate option.
func caddyfileOf(more, body string) string {
	return `{` + stack.Options + `
	delegate {` + stack.Provider + more + `
	}
}
http://127.0.0.1:[[.Port]] {` + body + `
}
`
}

// proxied is a Caddyfile whose delegate_proxy has the given lines besides its
// subject, and whose site has the given ones.
func proxied(lines, site string) string {
	return caddyfileOf("", `
	handle_path /mdh/* {`+stack.SignIn+`
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
			`+lines+`
		}
	}
	`+site)
}

// user is a signed-in user of the app.
type user struct {
	t       testing.TB
	stack   *stack.Stack
	session string
	client  *http.Client
	base    string // instead of the stack's own URL
}

func signIn(t testing.TB, s *stack.Stack, name string) *user {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	return &user{t: t, stack: s, session: s.App.SignIn(name, time.Time{}), client: client}
}

func (u *user) url() string {
	if u.base != "" {
		return u.base
	}
	return u.stack.URL()
}

// request builds a request with the user's session cookie.
func (u *user) request(method, path string, body io.Reader) *http.Request {
	u.t.Helper()
	req, err := http.NewRequest(method, u.url()+path, body)
	if err != nil {
		u.t.Fatal(err)
	}
	if u.session != "" {
		req.Header.Set("Cookie", stack.CookieName+"="+u.session)
	}
	return req
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

// try sends a request. Unlike do it may be called from any goroutine.
func (u *user) try(req *http.Request) (answer, error) {
	u.stack.InTurn()
	defer u.stack.InTurn()
	res, err := u.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: reading the answer: %w", req.Method, req.URL, err)
	}
	return answer{res, string(body)}, nil
}

func (u *user) do(req *http.Request) answer {
	u.t.Helper()
	a, err := u.try(req)
	if err != nil {
		u.t.Fatal(err)
	}
	return a
}

func (u *user) get(path string) answer {
	u.t.Helper()
	return u.do(u.request(http.MethodGet, path, nil))
}

// rawRequest sends bytes as they are, so that no client library tidies an attack
// up, and reads the answer. With hangUp it ends its direction of the connection
// first.
func rawRequest(t *testing.T, s *stack.Stack, request string, hangUp bool) answer {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if hangUp {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return answer{res, string(body)}
}

// want fails the test unless the answer has the status and, if it is a
// refusal, the code.
func (a answer) want(t testing.TB, status int, code string) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d; headers %v; body %s", a.StatusCode, status, a.Header, a.body)
	}
	if code == "" {
		return
	}
	var problem struct {
		Type, Title, Code, Message string
		Status                     int
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
		t.Fatalf("refusal is not JSON: %v: %s", err, a.body)
	}
	if problem.Code != code || problem.Status != status || problem.Title == "" || problem.Message == "" || problem.Type == "" {
		t.Fatalf("refusal %+v, want code %s and status %d", problem, code, status)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := a.Header.Get("Proxy-Status"); !strings.Contains(got, fmt.Sprintf("details=%q", code)) || !strings.HasPrefix(got, "caddy-delegate; error=") {
		t.Errorf("Proxy-Status %q", got)
	}
}

// echoPath answers with what the platform received.
const echoPath = "/mdh/api/v1/delegated/custom/Simulator.Echo"

// encrypted has the sites of a Caddyfile served over https, with the stack's certificate.
func encrypted(caddyfile string) string {
	caddyfile = strings.ReplaceAll(caddyfile, "http://127.0.0.1:[[.Port]] {", "https://localhost:[[.Port]] {\n\ttls [[.CertFile]] [[.CertKeyFile]]")
	return strings.Replace(caddyfile, "auto_https off", "auto_https disable_redirects", 1)
}

// over runs a test with HTTP/1.1, 2 and 3 between client and Caddy. The site
// is served with the stack's certificate.
func over(t *testing.T, caddyfile string, test func(t *testing.T, s *stack.Stack, u *user)) {
	t.Helper()
	caddyfile = encrypted(caddyfile)
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
	transports := map[string]func() http.RoundTripper{
		"h1": func() http.RoundTripper {
			return &http.Transport{TLSClientConfig: config.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, DisableCompression: true}
		},
		"h2": func() http.RoundTripper {
			return &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true, DisableCompression: true}
		},
		"h3": func() http.RoundTripper {
			return &http3.Transport{TLSClientConfig: config.Clone(), DisableCompression: true}
		},
	}
	s := newStack(t)
	settings := s.Platform.Settings()
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			// What one protocol's test has left behind is not the next one's.
			if err := s.Restart(caddyfile); err != nil {
				t.Fatal(err)
			}
			u := signIn(t, s, "alice")
			u.base = fmt.Sprintf("https://localhost:%d", s.Port)
			rt := transport()
			u.client.Transport = rt
			if c, ok := rt.(io.Closer); ok {
				t.Cleanup(func() { _ = c.Close() })
			}
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) { platform.ServeHTTP(w, r) })
			s.Platform.Set(func(set *simulator.Settings) { *set = settings })
			s.Platform.Reset()
			test(t, s, u)
		})
	}
}
