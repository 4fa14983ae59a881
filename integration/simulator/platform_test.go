// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	account = "MyDataHelps.12345.App"
	project = "5e1f0000-0000-4000-8000-00000000aaaa"
)

var (
	alice = Participant{ID: "aaaaaaaa-1111-4111-8111-111111111111", Identifier: "alice", FirstName: "Alice", LastName: "A", CustomFields: map[string]string{"user": "1"}}
	bob   = Participant{ID: "bbbbbbbb-2222-4222-8222-222222222222", Identifier: "bob", FirstName: "Bob", LastName: "B", CustomFields: map[string]string{"user": "2"}}
)

var accountKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// platform is a simulator on loopback with a clock that only the test moves.
type platform struct {
	*MyDataHelps
	t   *testing.T
	url string

	mu  sync.Mutex
	now time.Time
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, now: time.Now()}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.MyDataHelps = NewMyDataHelps(Options{
		Account: account, ProjectID: project, Participants: []Participant{alice, bob},
		// The key in use comes second: each registered one must be tried.
		Keys: []*rsa.PublicKey{&other.PublicKey, &accountKey().PublicKey},
		Clock: func() time.Time {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.now
		},
	})
	server := httptest.NewServer(p.MyDataHelps)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *platform) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// claims are a good assertion's.
func (p *platform) claims() map[string]any {
	return map[string]any{
		"iss": account, "sub": account, "aud": p.url + tokenPath,
		"exp": float64(p.clock().Add(200*time.Second).UnixMilli()) / 1000, "jti": rand.Text(),
	}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// serviceForm is a good request for a service token.
func (p *platform) serviceForm() url.Values {
	p.t.Helper()
	return url.Values{
		"grant_type": {"client_credentials"}, "scope": {"api"}, "client_assertion_type": {assertionType},
		"client_assertion": {sign(p.t, jose.RS256, accountKey(), p.claims())},
	}
}

// delegatedForm is a good request for a participant token.
func delegatedForm(service, participantID string, scopes ...string) url.Values {
	return url.Values{
		"grant_type": {"delegated_participant"}, "scope": {strings.Join(scopes, " ")}, "participant_id": {participantID},
		"client_id": {ClientID}, "client_secret": {"secret"}, "token": {service},
	}
}

type response struct {
	*http.Response
	body string
	json map[string]any
}

func (p *platform) do(req *http.Request) response {
	p.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s %s: reading the answer: %v", req.Method, req.URL.Path, err)
	}
	r := response{Response: res, body: string(b)}
	_ = json.Unmarshal(b, &r.json)
	return r
}

func (p *platform) request(method, target, token, body string) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req
}

func (p *platform) call(method, target, token, body string) response {
	p.t.Helper()
	return p.do(p.request(method, target, token, body))
}

func (p *platform) ask(form url.Values) response {
	p.t.Helper()
	req := p.request(http.MethodPost, tokenPath, "", form.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.do(req)
}

func (p *platform) serviceToken() string {
	p.t.Helper()
	return p.mustMint(p.serviceForm())
}

func (p *platform) participantToken(id string, scopes ...string) string {
	p.t.Helper()
	if scopes == nil {
		scopes = []string{"api"}
	}
	return p.mustMint(delegatedForm(p.serviceToken(), id, scopes...))
}

func (p *platform) mustMint(form url.Values) string {
	p.t.Helper()
	r := p.ask(form)
	token, _ := r.json["access_token"].(string)
	if r.StatusCode != http.StatusOK || token == "" {
		p.t.Fatalf("no token: %d %s (%s)", r.StatusCode, r.body, p.lastReason())
	}
	return token
}

func (p *platform) lastReason() string {
	all := p.Records()
	return all[len(all)-1].Reason
}

func wantStatus(t *testing.T, r response, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", r.Request.Method, r.Request.URL.Path, r.StatusCode, status, r.body)
	}
}

// until polls for what happens in another goroutine.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func listOf(t *testing.T, r response, key string) []map[string]any {
	t.Helper()
	var list []map[string]any
	source := []byte(r.body)
	if key != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(source, &object); err != nil {
			t.Fatalf("%v in %s", err, r.body)
		}
		source = object[key]
	}
	if err := json.Unmarshal(source, &list); err != nil {
		t.Fatalf("%s: %v in %s", key, err, r.body)
	}
	return list
}

func adminPath(rest string) string {
	return fmt.Sprintf("/api/v1/administration/projects/%s/participants%s", project, rest)
}
