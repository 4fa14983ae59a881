// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

const journalSource = "testdata/journal/journal.go"

// journal is a platform where people consent on a page of its own.
type journal struct {
	url string

	mu        sync.Mutex
	codes     map[string]journalCode
	accounts  map[string]string // by access token
	exchanges int
}

// journalCode is what an authorization code stands for.
type journalCode struct{ account, redirect, challenge string }

func newJournal(t *testing.T) *journal {
	t.Helper()
	j := &journal{codes: make(map[string]journalCode), accounts: make(map[string]string)}
	server := httptest.NewServer(j)
	t.Cleanup(server.Close)
	j.url = server.URL
	return j
}

// agree is a person who agrees on the page, and returns where the browser is sent.
func (j *journal) agree(t *testing.T, page, account string) string {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil || !strings.HasPrefix(page, j.url+"/authorize?") {
		t.Fatalf("%v: the page is %q", err, page)
	}
	q := u.Query()
	if q.Get("client_id") != "caddy" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		t.Fatalf("the page is asked for %v", q)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	code := rand.Text()
	j.codes[code] = journalCode{account, q.Get("redirect_uri"), q.Get("code_challenge")}
	return q.Get("redirect_uri") + "&code=" + code
}

// withdraw ends all consents.
func (j *journal) withdraw() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.accounts)
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.URL.Path != "/token" {
		account, ok := j.accounts[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, r.URL.Path+" of "+account)
		return
	}
	j.exchanges++
	client, secret, _ := r.BasicAuth()
	code, ok := j.codes[r.PostFormValue("code")]
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || client != "caddy" || secret != "planted" || r.PostFormValue("redirect_uri") != code.redirect || base64.RawURLEncoding.EncodeToString(verifier[:]) != code.challenge {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	delete(j.codes, r.PostFormValue("code"))
	access := "access-" + rand.Text()
	j.accounts[access] = code.account
	_ = json.NewEncoder(w).Encode(map[string]string{"access_token": access, "account": code.account})
}

// reader is a browser of somebody who reads their journal.
type reader struct {
	t          *testing.T
	site, user string
	client     *http.Client
	received   receipts
}

func newReader(t *testing.T, site, user string) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, site: site, user: user}
	r.client = &http.Client{Jar: jar, Transport: &r.received, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r
}

// try sends a request; its status is 0 if there is no answer.
func (r *reader) try(method, target string) (status int, body string, header http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.site+strings.TrimPrefix(target, r.site), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.SetBasicAuth(r.user, "secret")
	res, err := r.client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(text)), res.Header
}

// wants sends a request and wants an answer that holds a text.
func (r *reader) wants(method, target string, status int, holds string) {
	r.t.Helper()
	if got, body, _ := r.try(method, target); got != status || !strings.Contains(body, holds) {
		r.t.Errorf("%s, %s %s: %d %s; want %d %s", r.user, method, target, got, body, status, holds)
	}
}

// starts begins a consent flow and returns the platform's page.
func (r *reader) starts() string {
	r.t.Helper()
	var answer struct{ URL string }
	status, body, _ := r.try(http.MethodPost, "/connect/start")
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		r.t.Fatalf("%s begins: %d %s", r.user, status, body)
	}
	return answer.URL
}

// returns comes back from the platform, and wants the app's page to be told an
// outcome.
func (r *reader) returns(to, outcome string) {
	r.t.Helper()
	if status, body, header := r.try(http.MethodGet, to); status != http.StatusSeeOther || header.Get("Location") != "/profile?connect="+outcome {
		r.t.Errorf("%s is back: %d %q %s; want %s", r.user, status, header.Get("Location"), body, outcome)
	}
}

// TestExternalConsent protects who adds a provider of their own whose people have to
// consent: it builds as a module apart that imports delegation alone, and everything
// but three calls of the platform is the host's. The hooks on the page for
// contributors are those of the module.
func TestExternalConsent(t *testing.T) {
	source := readFile(t, journalSource)
	code := fenced(contributingPage, page(t, contributingPage), "go")
	if len(code) != 3 || !strings.Contains(source, strings.TrimSpace(code[2].text)) {
		t.Errorf("%s has not the hooks of %s", journalSource, contributingPage)
	}
	program := buildExternal(t, "journal", source, strings.ReplaceAll(code[1].text, "notes", "journal"))
	j := newJournal(t)
	number, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	site := fmt.Sprintf("http://127.0.0.1:%d", number)
	log := runExternal(t, program, `{
	admin off
	persist_config off
	delegate {
		provider journal {
			url       `+j.url+`
			client_id caddy
			secret    {env.JOURNAL_SECRET}
		}
	}
}
`+site+` {
`+basicAuth+`
	handle_path /data/* {
		delegate_proxy journal
	}
	handle_path /connect/* {
		delegate_connect journal {
			url  `+site+`/connect
			then /profile
		}
	}
}
`, "JOURNAL_SECRET=planted")
	alice, bob := newReader(t, site, "alice"), newReader(t, site, "bob")
	eventually(t, "it serves", func() bool { status, _, _ := alice.try(http.MethodGet, "/connect/status"); return status != 0 })
	defer func() {
		if t.Failed() {
			t.Log(readFile(t, log))
		}
	}()

	// Start, redeem, data, status.
	alice.wants(http.MethodGet, "/connect/status", http.StatusOK, `{"status":"none"}`)
	alice.wants(http.MethodGet, "/data/entries/1", http.StatusForbidden, "consent_required")
	back := j.agree(t, alice.starts(), "account-7")
	alice.wants(http.MethodGet, "/connect/status", http.StatusOK, `{"status":"pending"}`)
	alice.returns(back, "connected")
	alice.wants(http.MethodGet, "/connect/status", http.StatusOK, `{"status":"connected"}`)
	alice.wants(http.MethodGet, "/data/entries/1", http.StatusOK, "/entries/1 of account-7")
	alice.wants(http.MethodGet, "/data/token", http.StatusForbidden, "route_denied")

	// The same code once more asks the platform nothing, whoever brings it.
	before := j.exchanges
	alice.try(http.MethodGet, back)
	bob.try(http.MethodGet, back)
	if j.exchanges != before {
		t.Errorf("a code was exchanged %d times", j.exchanges)
	}
	bob.wants(http.MethodGet, "/data/entries/1", http.StatusForbidden, "consent_required")

	// Somebody who does not agree, and then agrees with another's account.
	bob.returns(strings.Replace(j.agree(t, bob.starts(), "account-8"), "&code=", "&error=access_denied&x=", 1), "consent_denied")
	bob.returns(j.agree(t, bob.starts(), "account-7"), "account_conflict")
	bob.wants(http.MethodGet, "/data/entries/1", http.StatusConflict, "account_conflict")
	bob.returns(j.agree(t, bob.starts(), "account-8"), "connected")
	bob.wants(http.MethodGet, "/data/entries/1", http.StatusOK, "/entries/1 of account-8")

	// A consent that has ended at the platform, and the next one.
	j.withdraw()
	alice.wants(http.MethodGet, "/data/entries/1", http.StatusForbidden, "consent_required")
	alice.wants(http.MethodGet, "/connect/status", http.StatusOK, `{"status":"update_required"}`)
	alice.returns(j.agree(t, alice.starts(), "account-7"), "connected")
	alice.wants(http.MethodGet, "/data/entries/2", http.StatusOK, "/entries/2 of account-7")

	// Disconnect.
	alice.wants(http.MethodDelete, "/connect/", http.StatusNoContent, "")
	alice.wants(http.MethodGet, "/connect/status", http.StatusOK, `{"status":"none"}`)
	alice.wants(http.MethodGet, "/data/entries/1", http.StatusForbidden, "consent_required")

	j.mu.Lock()
	defer j.mu.Unlock()
	secrets := map[string]string{"client secret": "planted"}
	for access := range j.accounts {
		secrets["access token"] = access
	}
	for _, r := range []*reader{alice, bob} {
		r.received.lack(t, secrets)
	}
	for name, secret := range secrets {
		if strings.Contains(readFile(t, log), secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
}
