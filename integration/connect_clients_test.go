// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// Clients of Human API's Connect v1, in our own words: the page and the library for
// iOS as their vendor has published them. Neither was changed for Caddy: the page is
// told another address for what it posts, and the library another authURL.

const humanConnect = "preset human_connect_v1\npublic_token_url {platform}/v1/connect/publictokens"

// opensHumanConnect opens the widget with the parameters that clients of v1 pass on.
func (c *consoleRig) opensHumanConnect(o opened, more url.Values) *popup {
	c.t.Helper()
	parameters := url.Values{"clientId": {o.ClientID}, "clientUserId": {o.ClientUserID}, "publicToken": {o.PublicToken}}
	maps.Copy(parameters, more)
	return c.launches(parameters)
}

// libraryPost is how the library for phones posts what it has got: by a session that
// keeps nothing, so that neither cookie nor Authorization goes along. 200 and 201 are a
// success, and an answer without publicToken counts as one with an empty one.
func (c *consoleRig) libraryPost(authURL, body, contentType string) (publicToken string, ok bool) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, authURL, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {contentType}, "Accept": {"application/json"}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var answer struct {
		PublicToken string `json:"publicToken"`
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return "", false
	}
	if len(res.Header["Set-Cookie"]) > 0 || json.Unmarshal(text, &answer) != nil {
		c.t.Errorf("the library gets %v %s", res.Header, text)
	}
	return answer.PublicToken, true
}

// TestClientIOS protects native apps that use the vendor's library as it is: the app
// begins, signed in, and gives the library the address that it is told.
func TestClientIOS(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded"} {
		t.Run(contentType, func(t *testing.T) {
			c := startConsole(t, connect.HumanConnectV1, humanConnect)
			app := c.browser("alice") // which has the session
			o := c.opensWidget(app, `{"client":"native"}`)
			if o.WidgetGlobal != "HumanConnect" || o.PublicToken != "" {
				t.Errorf("the app gets %+v", o)
			}

			// The web view: it opens the vendor's page, and stops the navigation to the
			// address that stands for the end.
			view := c.opensHumanConnect(o, url.Values{"finishUrl": {"https://connect-token"}, "closeUrl": {"https://connect-closed"}})
			end, err := url.Parse(view.shares(accounts()[0]).Header.Get("Location"))
			if err != nil || end.Host != "connect-token" {
				t.Fatalf("the web view ends at %s: %v", end, err)
			}
			q := end.Query()
			body := object(map[string]string{"humanId": q.Get("humanId"), "clientId": q.Get("clientId"), "sessionToken": q.Get("sessionToken")})
			if contentType != "application/json" {
				body = q.Encode()
			}
			public, ok := c.libraryPost(o.RedeemURL, body, contentType)
			if !ok || public == "" || public != c.platform.Connections()[0].PublicToken {
				t.Errorf("the library has publicToken %q, %v", public, ok)
			}
			c.isStatus(app, "connected")
			c.reads(app, accounts()[0])

			// A platform without public tokens is a success as well; a failure is none.
			o = c.opensWidget(app, `{"client":"native"}`)
			c.mode("public_token_absent")
			if public, ok := c.libraryPost(o.RedeemURL, c.finishes(o, accounts()[0]), "application/json"); !ok || public != "" {
				t.Errorf("without: %q %v", public, ok)
			}
			c.mode()
			if _, ok := c.libraryPost(o.RedeemURL, c.finishes(o, accounts()[0]), "application/json"); ok {
				t.Error("a ticket works twice")
			}
		})
	}
}

// TestClientWeb protects pages that are written after the vendor's sample: they post
// the widget's object to their server as it is, also one of an older release, which
// holds a userId, and take any other status for a failure.
func TestClientWeb(t *testing.T) {
	c := startConsole(t, connect.HumanConnectV1, humanConnect)
	page := c.browser("alice")
	o := c.opensWidget(page, "")
	widget := c.opensHumanConnect(o, url.Values{"origin": {c.URL()}})
	widget.shares(accounts()[0])
	sessionTokenObject := widget.result()
	if len(sessionTokenObject) != 3 || sessionTokenObject["sessionToken"] == "" || sessionTokenObject["humanId"] != accounts()[0] {
		t.Fatalf("the widget hands over %v", sessionTokenObject)
	}
	// What the browser says about itself decides nothing.
	sessionTokenObject["userId"], sessionTokenObject["clientId"], sessionTokenObject["clientUserId"] = "somebody", "other", "somebody"
	sessionTokenObject["clientSecret"], sessionTokenObject["accessToken"] = "other-secret", "planted"
	a := c.handsOver(page, object(sessionTokenObject))
	if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"publicToken":"`+c.platform.Connections()[0].PublicToken+`"`) {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, r := range c.platform.Records() {
		if r.Area == "exchange" && (strings.Contains(r.Body, "userId\"") || strings.Contains(r.Body, "somebody") || strings.Contains(r.Body, "planted") || !strings.Contains(r.Body, `"clientId":"health"`) || !strings.Contains(r.Body, `"humanId":"`+accounts()[0]+`"`)) {
			t.Errorf("the platform got %s", r.Body)
		}
	}
	c.reads(page, accounts()[0])

	// The sample's server answers 422 to whatever fails; so does Caddy to a token that
	// was used, but to a page that posts it twice by mistake.
	before := c.platform.Counts().Exchanges
	if twice := c.handsOver(page, object(sessionTokenObject)); twice.StatusCode != a.StatusCode || twice.body != a.body {
		t.Errorf("twice: %d %s", twice.StatusCode, twice.body)
	}
	laptop := c.browser("alice")
	c.opensWidget(laptop, "")
	isCode(t, c.handsOver(laptop, object(sessionTokenObject)), http.StatusUnprocessableEntity, "token_rejected")
	if n := c.platform.Counts().Exchanges; n != before {
		t.Errorf("%d exchanges of a token that was used", n-before)
	}
}

// TestClientReturns protects people who come back: the widget knows them by the public
// token that is kept for them, which is another one after each exchange, and is asked
// for at the platform if it was lost.
func TestClientReturns(t *testing.T) {
	c := startConsole(t, connect.HumanConnectV1, humanConnect)
	alice := c.browser("alice")
	first := c.opensWidget(alice, "")
	if first.PublicToken != "" {
		t.Errorf("a new person has %+v", first)
	}
	connects := func(o opened, account string) string {
		t.Helper()
		widget := c.opensHumanConnect(o, url.Values{"origin": {c.URL()}})
		widget.shares(account)
		a := c.handsOver(alice, object(widget.result()))
		var answer struct{ PublicToken string }
		if err := json.Unmarshal([]byte(a.body), &answer); err != nil || a.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return answer.PublicToken
	}
	one := connects(first, accounts()[0])
	again := c.opensWidget(alice, "")
	if one == "" || again.PublicToken != one || again.ClientUserID != first.ClientUserID {
		t.Errorf("after %+v and publicToken %q comes %+v", first, one, again)
	}
	two := connects(again, "") // the widget does not ask whose account it is
	if third := c.opensWidget(alice, ""); two == one || third.PublicToken != two {
		t.Errorf("publicToken %q, then %q, then %+v", one, two, third)
	}

	c.mode("public_token_absent") // so that none is kept
	if lost := connects(c.opensWidget(alice, ""), ""); lost != "" {
		t.Errorf("publicToken %q", lost)
	}
	c.mode()
	found := c.opensWidget(alice, "")
	if n := c.platform.Counts().Recoveries; n != 1 || found.PublicToken == "" || found.PublicToken != c.platform.Connections()[0].PublicToken {
		t.Errorf("after %d questions: %+v", n, found)
	}
	connects(found, "")
	c.reads(alice, accounts()[0])
	if saved := c.platform.Connections(); len(saved) != 1 {
		t.Errorf("one person has become %d", len(saved))
	}
}
