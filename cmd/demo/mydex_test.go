// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const detailsPath = "/pdx/api/pds/pds/me.json?dataset=ds_personal_details&instance=0"

// visitor is a browser with cookies.
type visitor struct {
	*demo
	t       *testing.T
	client  *http.Client
	session string
}

func (d *demo) visitor(t *testing.T, user string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{demo: d, t: t, client: &http.Client{Jar: jar}}
	t.Cleanup(v.client.CloseIdleConnections)
	v.signIn(user)
	return v
}

// send answers with where the browser is in the end, and what it has there.
func (v *visitor) send(method, address string, form url.Values) (res *http.Response, body string) {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.stack.URL() + address
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if res, err = v.client.Do(req); err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(text)
}

var journeyInput = regexp.MustCompile(`name="journey" value="([\w-]+)"`)

// signIn gives the browser a session.
func (v *visitor) signIn(user string) {
	v.session = v.stack.App.SignIn(user, time.Time{})
	site, _ := url.Parse(v.stack.URL())
	v.client.Jar.SetCookies(site, []*http.Cookie{{Name: stack.CookieName, Value: v.session, Path: "/"}})
}

// connect clicks through consent and returns what the app's page is told.
func (v *visitor) connect(uid string) (outcome string) {
	v.t.Helper()
	return v.agree(v.begin("start"), uid)
}

// begin returns the platform's page.
func (v *visitor) begin(how string) string {
	v.t.Helper()
	_, body := v.send(http.MethodPost, connectPath+how, nil)
	var start struct{ URL string }
	if err := json.Unmarshal([]byte(body), &start); err != nil || !strings.HasPrefix(start.URL, "http://localhost:") {
		v.t.Fatalf("start: %v, %s", err, body)
	}
	return start.URL
}

// agree clicks through the platform's pages.
func (v *visitor) agree(page, uid string) (outcome string) {
	v.t.Helper()
	origin := page[:strings.Index(page, "/ftc/")]
	_, body := v.send(http.MethodGet, page, nil)
	_, body = v.send(http.MethodPost, origin+"/ftc/sign-in", url.Values{"journey": {journeyOn(v.t, body)}, "member": {uid}})
	res, _ := v.send(http.MethodPost, origin+"/ftc/agreement", url.Values{"journey": {journeyOn(v.t, body)}, "decision": {"agree"}})
	if res.Request.URL.Path != "/mydex.html" || res.StatusCode != http.StatusOK {
		v.t.Fatalf("back at %s: %d", res.Request.URL, res.StatusCode)
	}
	return res.Request.URL.Query().Get("connect")
}

func journeyOn(t *testing.T, page string) string {
	t.Helper()
	m := journeyInput.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no journey on the page: %s", page)
	}
	return m[1]
}

func (v *visitor) exchange() (x mydexExchange, body string) {
	v.t.Helper()
	_, body = v.send(http.MethodGet, "/demo/mydex/exchange", nil)
	if err := json.Unmarshal([]byte(body), &x); err != nil {
		v.t.Fatalf("%v in %s", err, body)
	}
	return x, body
}

// A picture of the page may be passed around, and the page says what the
// browser never had: neither may be wrong.
func TestMydexExchangeHidesSecrets(t *testing.T) {
	d := running(t)
	alice := d.visitor(t, "alice")
	if outcome := alice.connect("4020"); outcome != "connected" {
		t.Fatalf("she comes back %s", outcome)
	}
	if res, body := alice.send(http.MethodGet, detailsPath, nil); res.StatusCode != http.StatusOK || !strings.Contains(body, "Robin") {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	x, body := alice.exchange()
	if x.Sent == nil || x.Received == nil || len(x.Setup) == 0 || len(x.Callback) == 0 || len(x.Steps) == 0 {
		t.Fatalf("something is missing: %s", body)
	}
	if x.Sent.Path != "/pdx/api/pds/pds/me.json" || x.Received.Path != "/api/pds/pds/4020.json" {
		t.Errorf("sent %s, received %s", x.Sent.Path, x.Received.Path)
	}
	member, _ := d.mydex.platform.Connection("4020")
	delivered := d.mydex.platform.Deliveries()[0]
	records := d.mydex.platform.Records()
	_, token, _ := strings.Cut(records[len(records)-1].Header.Get("Authorization"), " ")
	callback, _ := url.ParseQuery(delivered.Body)
	site, _ := url.Parse(d.stack.URL())
	secrets := map[string]string{"key": member.Key, "token": token, "hash": delivered.Header.Get("Authentication"), "link": callback.Get("linking_token"), "session": alice.session}
	for _, cookie := range alice.client.Jar.Cookies(site) {
		secrets["cookie "+cookie.Name] = cookie.Value
	}
	for what, secret := range secrets {
		if len(secret) < 16 || strings.Contains(body, secret) || strings.Contains(body, secret[:6]) {
			t.Errorf("%s is there in full: %s", what, body)
		}
	}
	unseen := 0
	for _, p := range append(append(append(x.Received.Query, x.Received.Headers...), x.Setup...), x.Callback...) {
		if p.Secret && p.Unseen {
			unseen++
		} else if p.Secret {
			t.Errorf("%s is said to have been in the browser", p.Name)
		}
	}
	if unseen != 2+3+3 {
		t.Errorf("%d secrets that the browser never had", unseen)
	}
}

// Two people may use the demo at the same time: a member is one user's, until
// they part.
func TestMydexExchangeIsOfOnePerson(t *testing.T) {
	d := running(t)
	alice, bob, nobody := d.visitor(t, "alice"), d.visitor(t, "bob"), d.visitor(t, "")
	if a, b := alice.connect("4020"), bob.connect("4020"); a != "connected" || b != "account_conflict" {
		t.Fatalf("alice %s, bob %s", a, b)
	}
	bob.send(http.MethodGet, detailsPath, nil)
	alice.send(http.MethodGet, detailsPath, nil)
	for name, v := range map[string]*visitor{"bob": bob, "nobody": nobody} {
		x, body := v.exchange()
		if x.Received != nil || x.Callback != nil || strings.Contains(body, "4020") {
			t.Errorf("%s is shown %s", name, body)
		}
	}
	if x, body := alice.exchange(); x.Received == nil || x.Callback == nil {
		t.Errorf("alice is shown %s", body)
	}
	if res, _ := alice.send(http.MethodDelete, connectPath, nil); res.StatusCode != http.StatusNoContent {
		t.Errorf("disconnecting: %d", res.StatusCode)
	}
	if x, body := alice.exchange(); x.Sent != nil || x.Callback != nil {
		t.Errorf("afterwards alice is shown %s", body)
	}
	if outcome := bob.connect("4020"); outcome != "connected" {
		t.Errorf("then bob: %s", outcome)
	}
}

// How the key came is shown to who began on another device, however they come
// back, and never to who comes back from somebody else's connect flow.
func TestMydexExchangeOfAnotherDevice(t *testing.T) {
	d := running(t)
	desk, phone := d.visitor(t, "alice"), d.visitor(t, "bob")
	if outcome := phone.agree(desk.begin("start?device=other"), "4020"); outcome != "consent_required" {
		t.Fatalf("bob comes back %s", outcome)
	}
	if x, body := phone.exchange(); x.Callback != nil || strings.Contains(body, "4020") {
		t.Errorf("bob is shown %s", body)
	}
	phone.signIn("")
	if outcome := phone.agree(desk.begin("start?device=other"), "4020"); outcome != "session_required" {
		t.Fatalf("nobody comes back %s", outcome)
	}
	phone.signIn("alice")
	if _, body := phone.send(http.MethodGet, connectPath+"status", nil); !strings.Contains(body, `"connected"`) {
		t.Fatal(body)
	}
	desk.send(http.MethodGet, detailsPath, nil)
	if x, body := desk.exchange(); len(x.Callback) == 0 || x.Received == nil {
		t.Errorf("alice is shown %s", body)
	}
}

// A withdrawal is about the signed-in user's member, and no other site's choice.
func TestWithdrawNeedsItsUser(t *testing.T) {
	d := running(t)
	alice, bob := d.visitor(t, "alice"), d.visitor(t, "bob")
	alice.connect("4020")
	for name, c := range map[string]struct {
		session string
		header  []string
		want    int
	}{
		"nobody":       {"", nil, http.StatusConflict},
		"no member":    {bob.session, nil, http.StatusConflict},
		"another site": {alice.session, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
	} {
		if status, _ := d.do(t, c.session, "POST", "/demo/mydex/withdraw", c.header...); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	if _, there := d.mydex.platform.Connection("4020"); !there {
		t.Fatal("withdrawn by somebody else")
	}
	if status, _ := d.do(t, alice.session, "POST", "/demo/mydex/withdraw"); status != http.StatusNoContent {
		t.Errorf("Alice herself: %d", status)
	}
	if res, body := alice.send(http.MethodGet, detailsPath, nil); !strings.Contains(body, `"consent_required"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if _, body := alice.send(http.MethodGet, connectPath+"status", nil); !strings.Contains(body, "update_required") {
		t.Error(body)
	}
}

// That the browser never had a secret must not be said of one that it sent,
// however it is written.
func TestUnseenIsLookedFor(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Forwarded-Method", "GET")
	r.Header.Set("X-Forwarded-Uri", "/pdx/x?a=in%2Fquery-0123456789")
	r.Header.Set("X-Mine", "in-header-0123456789")
	s := browserRequestOf(r)
	for value, unseen := range map[string]bool{"in/query-0123456789": false, "in-header-0123456789": false, "nowhere-0123456789": true} {
		if p := s.shownField("Key", value); p.Unseen != unseen || !p.Secret || p.Value != "••••••••6789" {
			t.Errorf("%s: %+v", value, p)
		}
	}
	if p := s.shownField("Cookie", "a=0123456789abcdef; b=short; c"); p.Value != "a=••••••••cdef; b=••••••••; c=••••••••" {
		t.Errorf("%+v", p)
	}
	if p := s.shownField("Accept", "x"); p.Secret || p.Unseen || p.Value != "x" {
		t.Errorf("%+v", p)
	}
}

// The platform does not say whom a refused call was about.
func TestNamed(t *testing.T) {
	for uri, want := range map[string]string{"/api/pds/pds/4020.json?dataset=x": "4020", "/calendar/get-events?uid=4021&con_id=1": "4021", "/api/pds/pds/1.json?uid=2": "2"} {
		if got := memberUID(mydex.Record{URI: uri}); got != want {
			t.Errorf("%s is about %q", uri, got)
		}
	}
}
