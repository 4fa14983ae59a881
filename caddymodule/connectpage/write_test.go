// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// hostile is what a catalogue, a vendor or a link could have in place of a name.
const hostile = `</title><script>alert(1)</script>"' onload=x {user} {{.}} ` + "\u202e"

var site = Site{Path: "/connect", Operator: "The Study", Done: "/profile?tab=data", SignIn: "/sign-in"}

// everyPage returns pages in which each text of the package occurs, with text in
// place of what others have written.
func everyPage(text string) []Page {
	s := site
	s.Operator = text
	all := []Action{ActionConnect, ActionUpdate, ActionDisconnect}
	list := &SourcesPage{Site: s, User: text}
	for _, state := range []State{StateNone, StatePending, StateConnected, StateUpdate, StateEnded} {
		list.Sources = append(list.Sources, Source{Name: "lab", Title: text, HasLogo: state == StateNone, State: state, Account: text, Partial: true, Actions: all})
	}
	pages := []Page{list, &SourcesPage{}, &ContinuePage{Site: s, User: text, Title: text, URL: "https://login.lab.example/authorize?state=1", Back: "/connect/"}}
	for code := range outcomeTexts {
		pages = append(pages, &ErrorPage{Site: s, Outcome: Outcome{code, text}})
	}
	return append(pages, &ReturnPage{Site: s, URL: "/connect/return/lab?state=1&code=" + url.QueryEscape(text)}, &ErrorPage{Site: s, Outcome: Outcome{text, text}, Back: "/connect/"})
}

func get(t *testing.T, page Page, language string) *httptest.ResponseRecorder {
	t.Helper()
	r, w := httptest.NewRequest("GET", "/connect/", nil), httptest.NewRecorder()
	r.Header.Set("Accept-Language", language)
	if err := Write(w, r, 200, page); err != nil {
		t.Fatalf("%T in %s: %v", page, language, err)
	}
	return w
}

// elements returns the elements of a page, as a browser reads it.
func elements(t *testing.T, text string) (all []*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TestPagesAbuse protects people from script in a source's name, an account's label,
// the app's user, the operator's name and a code in a link (T68): the only script is
// the page's own, nothing has a handler, and what they say is still there to read, as
// a text of its own direction.
func TestPagesAbuse(t *testing.T) {
	for tag := range languages {
		for _, page := range everyPage(hostile) {
			body := get(t, page, tag).Body.String()
			scripts := 0
			for _, n := range elements(t, body) {
				if n.Data == "script" {
					if scripts++; attribute(n, "src") != "/connect/page.js" && attribute(n, "src") != "/page.js" || n.FirstChild != nil {
						t.Errorf("%T in %s: script %v", page, tag, n.Attr)
					}
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") {
						t.Errorf("%T in %s: %s has %v", page, tag, n.Data, a)
					}
				}
			}
			if scripts != 1 {
				t.Errorf("%T in %s: %d scripts", page, tag, scripts)
			}
		}
	}
	list := get(t, everyPage(hostile)[0], "en").Body.String()
	if !strings.Contains(list, "Connected as <bdi>&lt;/title&gt;&lt;script&gt;") || !strings.Contains(list, "{user} {{.}}") {
		t.Errorf("the label is not shown as it is: %s", list)
	}
	if text := get(t, &ErrorPage{Outcome: Outcome{hostile, ""}}, "en").Body.String(); strings.Contains(text, "alert") || !strings.Contains(text, "Something went wrong") {
		t.Errorf("a code that nobody knows is shown: %s", text)
	}
}

// TestPagesPolicy protects against what escapes all the same, and against frames:
// the policy runs only what has the page's nonce, which no two pages share; it sends
// and loads nothing else. Forms keep their Origin, and the vendor's window is cut off.
func TestPagesPolicy(t *testing.T) {
	nonces := make(map[string]bool)
	for _, page := range everyPage("x") {
		w := get(t, page, "fr")
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "script-src 'nonce-"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%T: no %s in %s", page, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src 'self'") {
			t.Errorf("%T: %s", page, policy)
		}
		nonce := regexp.MustCompile(`script-src 'nonce-(\w{20,})'`).FindStringSubmatch(policy)[1]
		if nonces[nonce] || strings.Count(w.Body.String(), `nonce="`+nonce+`"`) != 2 {
			t.Errorf("%T: nonce %s", page, nonce)
		}
		nonces[nonce] = true
		referrer := "same-origin"
		switch page.(type) {
		case *ContinuePage, *ReturnPage: // without forms, and their addresses are nobody else's
			referrer = "no-referrer"
		}
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Language": "fr",
			"Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": referrer,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%T: %s is %q", page, name, got)
			}
		}
	}
}

// TestContinuePageAddress protects people on their way to a vendor: the page links to
// pages on the web only, tells their host, and gives the vendor no Referer; its error
// does not repeat the state in the address.
func TestContinuePageAddress(t *testing.T) {
	for _, address := range []string{"javascript:alert('s3cret')", "data:text/html,s3cret", "//evil.example/s3cret", "/s3cret", "https:s3cret", "ftp://vendor.example/s3cret", "https://[s3cret", ""} {
		w := httptest.NewRecorder()
		err := Write(w, httptest.NewRequest("POST", "/connect/start/lab", nil), 200, &ContinuePage{URL: address})
		if err == nil || strings.Contains(err.Error(), "s3cret") || w.Body.Len() > 0 {
			t.Errorf("%s: %v, %q", address, err, w.Body)
		}
	}
	const address = "https://login.lab.example:8443/authorize?scope=a%20b&state=x"
	found := false
	for _, n := range elements(t, get(t, &ContinuePage{Title: "Lab", URL: address}, "en").Body.String()) {
		if attribute(n, "href") == address {
			found = n.Data == "a" && attribute(n, "rel") == "noreferrer"
		}
		if n.Data == "form" {
			t.Error("a form in place of the link: a policy would block its redirects")
		}
	}
	if !found {
		t.Error("no link to the vendor")
	}
}

// TestReturnPage protects who comes back from a vendor from being led elsewhere: the
// page goes on by itself and by a link, to this site alone, with what the query has as
// a text.
func TestReturnPage(t *testing.T) {
	for _, address := range []string{"https://evil.example/s3cret", "//evil.example/s3cret", `/\evil.example/s3cret`, "javascript:s3cret", "s3cret", "", "/a\ns3cret"} {
		w := httptest.NewRecorder()
		err := Write(w, httptest.NewRequest("GET", "/connect/return/lab", nil), 200, &ReturnPage{Site: site, URL: address})
		if err == nil || strings.Contains(err.Error(), "s3cret") || w.Body.Len() > 0 {
			t.Errorf("%s: %v, %q", address, err, w.Body)
		}
	}
	const address = `/connect/return/lab?code="'><script>;url=//evil.example&state=1`
	var refresh, link string
	for _, n := range elements(t, get(t, &ReturnPage{Site: site, URL: address}, "en").Body.String()) {
		switch {
		case attribute(n, "http-equiv") == "refresh":
			refresh = attribute(n, "content")
		case n.Data == "a":
			link, _ = url.QueryUnescape(attribute(n, "href"))
		}
	}
	if refresh != "0; url="+address || link != address {
		t.Errorf("%q %q", refresh, link)
	}
}

// TestSourcesPageForms protects pages without script: each action is a form to its
// endpoint, and there is no button for what cannot be done.
func TestSourcesPageForms(t *testing.T) {
	page := &SourcesPage{Site: site, Sources: []Source{
		{Name: "a", Title: "A", State: StateNone, Actions: []Action{ActionConnect}},
		{Name: "b", Title: "B", State: StateConnected, Partial: true, Actions: []Action{ActionUpdate, ActionDisconnect}},
		{Name: "c", Title: "C", State: StateEnded},
	}}
	var forms []string
	buttons := 0
	for _, n := range elements(t, get(t, page, "en").Body.String()) {
		switch n.Data {
		case "form":
			forms = append(forms, attribute(n, "method")+" "+attribute(n, "action"))
		case "button":
			buttons++
		}
	}
	if got := strings.Join(forms, ", "); got != "post /connect/start/a, post /connect/update/b, post /connect/disconnect/b" || buttons != 3 {
		t.Errorf("%d buttons, forms %s", buttons, got)
	}
	for state, end := range map[State]string{StateConnected: `data-end="finish"`, StateNone: `data-end="close"`} {
		body := get(t, &SourcesPage{Site: site, Sources: []Source{{Name: "a", State: state}}}, "en").Body.String()
		if !strings.Contains(body, end+` href="/profile?tab=data"`) {
			t.Errorf("%s: no %s", state, end)
		}
	}
}

// TestWriteErrors protects the caller's choice of an answer: a fault of the page is
// told before anything is written.
func TestWriteErrors(t *testing.T) {
	w := httptest.NewRecorder()
	err := Write(w, httptest.NewRequest("GET", "/connect/", nil), 200, &SourcesPage{Sources: []Source{{State: "unheard_of"}}})
	if err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%v, %q, %v", err, w.Body, w.Header())
	}
}
