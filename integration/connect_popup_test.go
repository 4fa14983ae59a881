// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// popup is the platform's widget in front of a person. It is a page of the platform:
// it has none of the app's cookies, and the app none of its.
type popup struct {
	*browser
	flow string
	page answer
}

var (
	popupFlow    = regexp.MustCompile(`name="flow" value="([^"]+)"`)
	popupMessage = regexp.MustCompile(`data-message="([^"]*)"`)
)

// launches opens the widget with parameters.
func (c *consoleRig) launches(parameters url.Values) *popup {
	c.t.Helper()
	p := &popup{browser: c.browser("")}
	p.page = p.do(http.MethodGet, c.url+"/connect?"+parameters.Encode(), "")
	m := popupFlow.FindStringSubmatch(p.page.body)
	if m == nil {
		c.t.Fatalf("the widget: %d %s", p.page.StatusCode, p.page.body)
	}
	p.flow = m[1]
	return p
}

// press presses one of its buttons.
func (p *popup) press(button string, fields ...string) answer {
	p.t.Helper()
	form := url.Values{"flow": {p.flow}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.page = p.do(http.MethodPost, p.url+"/connect/"+button, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return p.page
}

// shares signs in to an account, connects a source and finishes. A person whom the
// widget knows, by the public token, is not asked for their account.
func (p *popup) shares(account string) answer {
	p.t.Helper()
	if account != "" {
		p.press("account", "account", account)
	}
	p.press("source", "source", "pulse_band", "connect", "yes")
	if !strings.Contains(p.page.body, "Finish connecting data") {
		p.t.Fatalf("there is nothing to finish: %d %s", p.page.StatusCode, p.page.body)
	}
	return p.press("finish")
}

// result is what a widget that has finished gives the page that launched it.
func (p *popup) result() map[string]string {
	p.t.Helper()
	var message struct {
		Event  string
		Result map[string]string
	}
	m := popupMessage.FindStringSubmatch(p.page.body)
	if m == nil {
		p.t.Fatalf("no last page: %d %s", p.page.StatusCode, p.page.body)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &message); err != nil || message.Event != "finish" {
		p.t.Fatalf("%v: %s", err, m[1])
	}
	return message.Result
}

// receipts are all that a client has received, to the last header.
type receipts struct {
	mu  sync.Mutex
	all strings.Builder
}

// RoundTrip implements [http.RoundTripper].
func (r *receipts) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.all, "%s %s\n%s\n", req.Method, req.URL, res.Status)
	_ = res.Header.Write(&r.all)
	r.all.Write(body)
	return res, err
}

// lack wants none of the named secrets in what the client has received.
func (r *receipts) lack(t testing.TB, secrets map[string]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, secret := range secrets {
		if secret == "" || strings.Contains(r.all.String(), secret) {
			t.Errorf("the client has received the %s %q", name, secret)
		}
	}
}

// object is a body of JSON: an object of strings.
func object(fields map[string]string) string {
	text, _ := json.Marshal(fields) // strings alone
	return string(text)
}
