// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestParticipantByID protects apps that hold the participant's ID in their
// session: no lookup is made.
func TestParticipantByID(t *testing.T) {
	s := start(t, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_id", 1))
	got := signIn(t, s, stack.Alice.ID).get(participantPath)
	got.want(t, http.StatusOK, "")
	if !strings.Contains(got.body, stack.Alice.ID) {
		t.Errorf("alice sees %s", got.body)
	}
	// The commonest mistake: the identifier where the ID belongs.
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	if c := s.Platform.Counts(); c.Lookups != 0 || c.ParticipantTokens != 1 {
		t.Errorf("%+v; want no lookup and one token", c)
	}
}

// newTLSStack is a stack whose platform speaks TLS and HTTP/2 as well, with the
// stack's certificate.
func newTLSStack(t *testing.T) (*stack.Stack, *httptest.Server) {
	t.Helper()
	s := newStack(t)
	cert, err := tls.LoadX509KeyPair(s.CertFile, s.CertKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	platform := httptest.NewUnstartedServer(s.Platform)
	platform.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	platform.EnableHTTP2 = true
	platform.StartTLS()
	t.Cleanup(platform.Close)
	return s, platform
}

// TestHTTPSettings protects hospitals with certificate authorities of their
// own: token calls, lookups and API requests all use them, over HTTP/2 as well.
func TestHTTPSettings(t *testing.T) {
	s, platform := newTLSStack(t)
	s.PlatformURL = platform.URL

	load(t, s, stack.Caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	if r := s.Platform.Records(); len(r) != 0 {
		t.Errorf("an unknown authority was trusted: %+v", r)
	}

	load(t, s, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1))
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	if r := received(t, s); r.Proto != "HTTP/2.0" {
		t.Errorf("the API was called over %s", r.Proto)
	}
}

// TestForwardProxy protects networks without a way out but a proxy: token
// calls, lookups and API requests go through it, on the default port.
func TestForwardProxy(t *testing.T) {
	s, platform := newTLSStack(t)

	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		there, err := net.Dial("tcp", platform.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		w.WriteHeader(http.StatusOK)
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		go func() { _, _ = io.Copy(there, buffered); _ = there.Close() }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(proxy.CloseClientConnections)
	t.Cleanup(proxy.Close)

	// localhost: the name in the certificate. Nobody listens on its port 443.
	s.PlatformURL = "https://localhost"
	through := strings.Replace(proxy.URL, "http://", "http://caddy:hunter2@", 1)
	load(t, s, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tproxy "+through+"\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}", 1))
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	if r := received(t, s); r.Host != "localhost" || r.Proto != "HTTP/2.0" {
		t.Errorf("the API was called as %s over %s", r.Host, r.Proto)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 {
		t.Errorf("the proxy was asked %q; want one connection of the issuer's client and one of the transport", asked)
	}
	for _, line := range asked {
		if line != "CONNECT localhost:443 Basic Y2FkZHk6aHVudGVyMg==" {
			t.Errorf("the proxy was asked %q", line)
		}
	}
}

// TestBasePath protects platforms served below a path.
func TestBasePath(t *testing.T) {
	s := newStack(t)
	var paths []string
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(platform.Close)
	s.PlatformURL = platform.URL + "/ppt"
	load(t, s, stack.Caddyfile)
	signIn(t, s, "alice").get("/mdh/api/v1/public/projects/" + stack.Project + "/views/main")
	signIn(t, s, "alice").get(participantPath)
	if len(paths) != 2 || paths[0] != "/ppt/api/v1/public/projects/"+stack.Project+"/views/main" || paths[1] != "/ppt/identityserver/connect/token" {
		t.Errorf("called %q", paths)
	}
}
