// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr/dnstest"
)

// smartAnswer is a usual SMART configuration.
const smartAnswer = `{"authorization_endpoint":"https://login.stmary.example/authorize","token_endpoint":"https://login.stmary.example/token",
	"code_challenge_methods_supported":["S256"],"capabilities":["launch-standalone"]}`

// smartServer answers discovery without a network: by answer, after wait.
type smartServer struct {
	mu     sync.Mutex
	status int
	answer string
	wait   time.Duration
	calls  []*http.Request
}

func (s *smartServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls = append(s.calls, req)
	status, answer, wait := s.status, s.answer, s.wait
	s.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

func (s *smartServer) set(status int, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.answer = status, answer
}

// taken returns how many calls there have been since it was last asked.
func (s *smartServer) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.calls)
	s.calls = nil
	return n
}

// newTestDiscovery returns a discovery that asks the server.
func newTestDiscovery(t *testing.T, s http.RoundTripper) *smartDiscovery {
	t.Helper()
	return newSMARTDiscovery(fhirSource(t, "https://fhir.stmary.example/R4"), &sourceHost{client: &http.Client{Transport: s}})
}

// TestSMARTDiscoveryIsKept protects the FHIR server from a call for each sign-in, and
// people from waiting for it, or from its outage, once it has named its addresses.
func TestSMARTDiscoveryIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &smartServer{status: 200, answer: smartAnswer, wait: time.Second}
		d := newTestDiscovery(t, server)
		find := func(token string) {
			t.Helper()
			began := time.Now()
			e, err := d.find(t.Context())
			if err != nil || e.token.Path != token || time.Since(began) > 0 {
				t.Errorf("%+v, %v after %v", e, err, time.Since(began))
			}
		}

		var crowd sync.WaitGroup
		for range 100 {
			crowd.Go(func() {
				if _, err := d.find(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		crowd.Wait()
		if n := server.taken(); n != 1 {
			t.Errorf("%d calls for a crowd", n)
		}

		time.Sleep(59 * time.Minute)
		find("/token")
		synctest.Wait()
		if n := server.taken(); n != 0 {
			t.Errorf("%d calls within an hour", n)
		}

		time.Sleep(2 * time.Minute)
		server.set(200, strings.ReplaceAll(smartAnswer, "/token", "/moved"))
		for range 10 {
			find("/token")
		}
		time.Sleep(2 * time.Second)
		find("/moved")
		if n := server.taken(); n != 1 {
			t.Errorf("%d calls after an hour", n)
		}

		server.set(503, "")
		time.Sleep(10 * time.Hour)
		for range 10 {
			find("/moved")
			time.Sleep(30 * time.Second)
		}
		if n := server.taken(); n != 5 {
			t.Errorf("%d calls in five minutes of an outage", n)
		}
		server.set(200, smartAnswer)
		time.Sleep(time.Minute)
		find("/moved")
		time.Sleep(2 * time.Second)
		find("/token")
	})
}

// TestSMARTDiscoveryFails protects an operator from a text that does not say what to
// mend, and a server that does not answer yet from being asked at every request. A caller
// who leaves does not spoil it for the others.
func TestSMARTDiscoveryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &smartServer{wait: time.Second}
		d := newTestDiscovery(t, server)
		for name, c := range map[string]struct {
			status       int
			answer, want string
		}{
			"not there":   {404, "planted", "status 404: check fhir_base"},
			"wants login": {401, `{"error":"planted"}`, "status 401"},
			"redirects":   {302, "", "status 302"},
			"down":        {500, "planted", "status 500"},
			"a page":      {200, "<html>planted", "a page, not JSON"},
			"no object":   {200, `["planted"]`, "no JSON object"},
			"twice":       {200, strings.Replace(smartAnswer, "{", `{"token_endpoint":"https://planted.example",`, 1), "a name twice"},
			"too large":   {200, strings.Replace(smartAnswer, "{", `{"scopes_supported":"`+strings.Repeat("planted", 40_000)+`",`, 1), "too large"},
			"old":         {200, strings.Replace(smartAnswer, "S256", "plain", 1), "S256"},
		} {
			server.set(c.status, c.answer)
			_, err := d.find(t.Context())
			r := delegation.AsRefusal(err)
			if text := delegation.Explain(err); r.Code != delegation.IssuerUnavailable || !strings.Contains(text, c.want) || strings.Contains(text, "planted") {
				t.Errorf("%s: %s, %s", name, r.Code, text)
			}
			server.set(200, smartAnswer)
			if _, err := d.find(t.Context()); err == nil || delegation.AsRefusal(err).RetryAfter != smartRetry {
				t.Errorf("%s: at once: %v", name, err)
			}
			if n := server.taken(); n != 1 {
				t.Errorf("%s: %d calls", name, n)
			}
			time.Sleep(smartRetry)
		}

		left, leave := context.WithCancel(t.Context())
		leave()
		if _, err := d.find(left); err == nil {
			t.Error("who has left gets an answer")
		}
		if e, err := d.find(t.Context()); err != nil || e.token == nil {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

// TestSMARTDiscoveryOfManyScopes protects hospitals that name more scopes than other
// answers of a vendor have room for.
func TestSMARTDiscoveryOfManyScopes(t *testing.T) {
	answer := strings.Replace(smartAnswer, "{", `{"scopes_supported":["`+strings.Repeat(`patient/Observation.rs","`, 9000)+`"],`, 1)
	if _, err := newTestDiscovery(t, &smartServer{status: 200, answer: answer}).find(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestT65_DiscoveredAddress protects this machine from a FHIR server that names a token
// endpoint by a host which leads to it: the code and the client's secret are not sent.
// The control is the same server with allow_private.
func TestT65_DiscoveredAddress(t *testing.T) {
	calls := make(chan string, 10)
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- r.URL.Path
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"access","token_type":"Bearer","patient":"p1","expires_in":3600}`)
	}))
	defer private.Close()
	_, port, _ := net.SplitHostPort(private.Listener.Addr().String())
	dnstest.Answer(t, "login.stmary.example", "127.0.0.1")

	for _, allowed := range []bool{false, true} {
		c := fhirSource(t, "https://fhir.stmary.example/R4")
		c.ClientAuth, c.AllowPrivate = ClientAuthNone, allowed
		p := &oauth2Source{config: c}
		p.client = (&delegation.HTTP{PublicOnly: !allowed}).Client()
		// The form of the address passes, as a name is no address yet.
		e := &endpoints{token: mustURL(t, "http://login.stmary.example:"+port+"/token")}
		p.find = func(context.Context) (*endpoints, error) { return e, nil }
		_, err := p.requestToken(t.Context(), e.token, make(map[string][]string))
		if allowed {
			if err != nil || len(calls) != 1 {
				t.Errorf("the control: %v, %d calls", err, len(calls))
			}
			continue
		}
		if len(calls) > 0 || delegation.AsRefusal(err).Code != delegation.IssuerUnavailable || !errors.Is(err, delegation.ErrNotSent) ||
			!strings.Contains(delegation.Explain(err), neterror.Cause(&publicaddr.Error{})) {
			t.Errorf("%v, %d calls", err, len(calls))
		}
	}
}
