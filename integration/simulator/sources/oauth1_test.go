// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signing is how a test signs a request.
type signing struct {
	way, consumer, secret, token, tokenSecret string
	change                                    []string // of the oauth_ parameters, before they are signed
	after                                     []string // likewise, when they are signed
	realm                                     string
	nonce                                     string
	stamp                                     time.Time
	signedTarget, signedBody                  string // what is signed in place of what is sent
}

func (v *vendor) signer(token, tokenSecret string) signing {
	return signing{way: "HMAC-SHA1", consumer: clientID, secret: clientSecret, token: token, tokenSecret: tokenSecret, realm: "x"}
}

// signedSend sends a request with Authorization: OAuth, or all in the query where
// the vendor wants it there.
func (v *vendor) signedSend(method, target, body string, s signing) response {
	v.t.Helper()
	header := []string{s.header(v, method, target, body)}
	if v.Settings().OAuth1.NoHeader {
		target, header = v.inQuery(target, header[0]), nil
	}
	if body != "" && body[0] != '{' {
		header = append(header, "Content-Type: application/x-www-form-urlencoded")
	}
	return v.send(method, target, body, header...)
}

// inQuery is a target with what a header holds.
func (v *vendor) inQuery(target, header string) string {
	v.t.Helper()
	all, err := parseAuthorization(strings.TrimPrefix(header, "Authorization: OAuth "))
	if err != nil {
		v.t.Fatal(err)
	}
	q := url.Values{}
	for _, p := range all[1:] { // the realm is the first
		q.Set(p.name, p.value)
	}
	return withQuery(target, q)
}

func (s signing) header(v *vendor, method, target, body string) string {
	v.t.Helper()
	if s.nonce == "" {
		s.nonce = secret("")
	}
	if s.stamp.IsZero() {
		s.stamp = v.clock()
	}
	oauth := url.Values{
		"oauth_consumer_key": {s.consumer}, "oauth_signature_method": {s.way}, "oauth_timestamp": {strconv.FormatInt(s.stamp.Unix(), 10)},
		"oauth_nonce": {s.nonce}, "oauth_version": {"1.0"},
	}
	if s.token != "" {
		oauth.Set("oauth_token", s.token)
	}
	change(oauth, s.change)
	if s.signedTarget != "" {
		target = s.signedTarget
	}
	if s.signedBody != "" {
		body = s.signedBody
	}
	path, query, _ := strings.Cut(target, "?")
	all, err := parseForm(query)
	if err != nil {
		v.t.Fatal(err)
	}
	if body != "" && body[0] != '{' {
		form, err := parseForm(body)
		if err != nil {
			v.t.Fatal(err)
		}
		all = append(all, form...)
	}
	for name, values := range oauth {
		all = append(all, parameter{name, values[0]})
	}
	oauth.Set("oauth_signature", sign(s.way, signatureBase(method, v.base+path, all), s.secret, s.tokenSecret))
	change(oauth, s.after)
	parts := []string{`realm="` + s.realm + `"`}
	for name, values := range oauth {
		for _, value := range values {
			parts = append(parts, name+`="`+percent(value)+`"`)
		}
	}
	return "Authorization: OAuth " + strings.Join(parts, ", ")
}

// form is the body of an answer.
func (r response) form() url.Values {
	q, _ := url.ParseQuery(r.body)
	return q
}

// requestToken gets one.
func (v *vendor) requestToken() (token, tokenSecret string) {
	v.t.Helper()
	s := v.signer("", "")
	if !v.Settings().OAuth1.CallbackAtAuthorize {
		s.change = []string{"oauth_callback=" + redirectURI}
	}
	r := v.signedSend(http.MethodPost, v.Settings().Paths.RequestToken, "", s)
	f := r.form()
	if r.status != http.StatusOK || f.Get("oauth_token") == "" {
		v.t.Fatalf("status %d, %s", r.status, r.body)
	}
	return f.Get("oauth_token"), f.Get("oauth_token_secret")
}

// connect1 has a person consent and returns the token credentials.
func (v *vendor) connect1() (token, tokenSecret string) {
	v.t.Helper()
	request, requestSecret := v.requestToken()
	q := v.decide(v.base+v.Settings().Paths.Authorize+"?oauth_token="+request, Decision{})
	s := v.signer(request, requestSecret)
	s.change = []string{"oauth_verifier=" + q.Get("oauth_verifier")}
	r := v.signedSend(http.MethodPost, v.Settings().Paths.Token, "", s)
	if r.status != http.StatusOK || q.Get("oauth_token") != request {
		v.t.Fatalf("status %d, %s, redirect %v", r.status, r.body, q)
	}
	return r.form().Get("oauth_token"), r.form().Get("oauth_token_secret")
}

// Each preset must lead from the page to data, by each way to sign that it takes.
func TestOAuth1Connect(t *testing.T) {
	for _, preset := range []string{"old_lab", "fatsecret"} {
		v := newVendor(t, preset)
		s := v.signer(v.connect1())
		for _, way := range v.Settings().OAuth1.Methods {
			s.way = way
			if r := v.signedSend(http.MethodGet, v.Settings().Paths.Data+"/measurements?limit=2&offset=1", "", s); r.status != http.StatusOK || r.text("account") != v.accounts[0].ID {
				t.Errorf("%s, %s: status %d, %s", preset, way, r.status, r.body)
			}
			if r := v.signedSend(http.MethodPost, v.Settings().Paths.Data+"/notes?a=1", "b=2+3&a=%2A&b=", s); r.status != http.StatusCreated {
				t.Errorf("%s, %s, form: status %d, %s", preset, way, r.status, r.body)
			}
			if r := v.signedSend(http.MethodPost, v.Settings().Paths.Data+"/notes", `{"note":"*"}`, s); r.status != http.StatusCreated {
				t.Errorf("%s, %s, JSON: status %d, %s", preset, way, r.status, r.body)
			}
		}
	}
}

// Everything that makes a signed call wrong must be refused by its name.
func TestSignedCallStrict(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*signing)
		want   string
	}{
		"another secret":        {func(s *signing) { s.secret = "x" }, "signature_invalid"},
		"no token secret":       {func(s *signing) { s.tokenSecret = "" }, "signature_invalid"},
		"altered query":         {func(s *signing) { s.signedTarget = "/v1/notes?limit=2" }, "signature_invalid"},
		"altered path":          {func(s *signing) { s.signedTarget = "/v1/Notes?limit=1" }, "signature_invalid"},
		"altered form":          {func(s *signing) { s.signedBody = "note=2" }, "signature_invalid"},
		"another consumer":      {func(s *signing) { s.consumer, s.secret = otherClient, "another" }, "token_rejected"},
		"unknown consumer":      {func(s *signing) { s.consumer = "x" }, "consumer_key_unknown"},
		"unknown token":         {func(s *signing) { s.token = "x" }, "token_rejected"},
		"no token":              {func(s *signing) { s.token = "" }, "token_rejected"},
		"PLAINTEXT":             {func(s *signing) { s.way = "PLAINTEXT" }, "parameter_absent"},
		"method not taken":      {func(s *signing) { s.after = []string{"oauth_signature_method=RSA-SHA1"} }, "signature_method_rejected"},
		"another version":       {func(s *signing) { s.change = []string{"oauth_version=2.0"} }, "version_rejected"},
		"no nonce":              {func(s *signing) { s.change = []string{"oauth_nonce"} }, "parameter_absent"},
		"parameter twice":       {func(s *signing) { s.after = []string{"+oauth_nonce=x"} }, "parameter_rejected"},
		"unknown parameter":     {func(s *signing) { s.change = []string{"oauth_nonsense=x"} }, "parameter_rejected"},
		"too late":              {func(s *signing) { s.stamp = s.stamp.Add(-301 * time.Second) }, "timestamp_refused"},
		"too early":             {func(s *signing) { s.stamp = s.stamp.Add(301 * time.Second) }, "timestamp_refused"},
		"no number for a stamp": {func(s *signing) { s.change = []string{"oauth_timestamp=now"} }, "timestamp_refused"},
	} {
		v := newVendor(t, "old_lab")
		s := v.signer(v.connect1())
		s.stamp = v.now
		if r := v.signedSend(http.MethodPost, "/v1/notes?limit=1", "note=1", s); r.status != http.StatusCreated {
			t.Fatalf("%s, before: %s", name, r.body)
		}
		tt.change(&s)
		r := v.signedSend(http.MethodPost, "/v1/notes?limit=1", "note=1", s)
		if r.form().Get("oauth_problem") != tt.want || r.status/100 != 4 || !strings.Contains(r.header.Get("WWW-Authenticate"), tt.want) {
			t.Errorf("%s: status %d, %s, want %s", name, r.status, r.body, tt.want)
		}
		if wrong := v.Counts().WrongSignature; wrong == 1 != (tt.want == "signature_invalid") {
			t.Errorf("%s: wrong signatures: %d", name, wrong)
		}
	}
}

// Parameters of OAuth belong in one place: what a page adds to the query must not
// pass.
func TestSignedCallPlaces(t *testing.T) {
	v := newVendor(t, "old_lab")
	s := v.signer(v.connect1())
	for _, target := range []string{"/v1/notes?oauth_callback=x", "/v1/notes?oauth_token=x"} {
		if r := v.signedSend(http.MethodGet, target, "", s); r.form().Get("oauth_problem") != "parameter_rejected" {
			t.Errorf("%s: %s", target, r.body)
		}
	}
	if r := v.get("/v1/notes", "x"); r.form().Get("oauth_problem") != "parameter_absent" {
		t.Errorf("bearer: %s", r.body)
	}
	// In the query alone, they are good.
	header := s.header(v, http.MethodGet, "/v1/notes", "")
	if r := v.send(http.MethodGet, v.inQuery("/v1/notes", header), ""); r.status != http.StatusOK {
		t.Errorf("query: %s", r.body)
	}
	v.Set(func(s *Settings) { s.OAuth1.NoHeader = true })
	if r := v.send(http.MethodGet, "/v1/notes", "", s.header(v, http.MethodGet, "/v1/notes", "")); r.form().Get("oauth_problem") != "parameter_absent" {
		t.Errorf("header, which the vendor does not read: %s", r.body)
	}
}

// A nonce is good once, and FatSecret's timestamps never go back.
func TestReplay(t *testing.T) {
	v := newVendor(t, "fatsecret")
	s := v.signer(v.connect1())
	target := v.inQuery("/rest/sleep", s.header(v, http.MethodGet, "/rest/sleep", ""))
	if r := v.send(http.MethodGet, target, ""); r.status != http.StatusOK {
		t.Fatalf("%s", r.body)
	}
	if r := v.send(http.MethodGet, target, ""); r.form().Get("oauth_problem") != "nonce_used" || r.status != http.StatusUnauthorized {
		t.Errorf("replay: %s", r.body)
	}
	s.stamp = v.now.Add(10 * time.Second)
	if r := v.signedSend(http.MethodGet, "/rest/sleep", "", s); r.status != http.StatusOK {
		t.Errorf("ahead: %s", r.body)
	}
	s.stamp = v.now.Add(9 * time.Second)
	if r := v.signedSend(http.MethodGet, "/rest/sleep", "", s); r.form().Get("oauth_problem") != "timestamp_refused" {
		t.Errorf("back: %s", r.body)
	}
}
