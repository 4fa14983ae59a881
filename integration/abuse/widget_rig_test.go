// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
	"github.com/caddy-delegate/caddy-delegate/integration/widget"
)

// widgetConnects are the delegate_connect of a platform with a widget, behind
// forward_auth and behind app_session.
var widgetConnects = []string{"/connect/widget", "/as-widget"}

// widgetRig is a rig whose platform has a widget in the app's page. The homemade
// site has an endpoint written by hand, as many apps have: it exchanges what is
// posted, and keeps the account for whoever is signed in.
type widgetRig struct {
	*rig
	platform *widget.Platform

	mu       sync.Mutex
	homemade map[string]string // accounts by user
}

// startWidget starts it. lines go into the site, global into the global options.
func startWidget(t testing.TB, change func(caddyfile string) string) *widgetRig {
	t.Helper()
	w := &widgetRig{rig: newRig(t), platform: widget.NewPlatform(), homemade: make(map[string]string)}
	t.Cleanup(w.platform.Close)
	byHand := httptest.NewServer(http.HandlerFunc(w.serveHomemade))
	t.Cleanup(byHand.Close)
	w.asked = func() any {
		return fmt.Sprintf("%d exchanges, %d requests", w.platform.Exchanges(), len(w.platform.Requests()))
	}
	const member = `
		@member {
			not method OPTIONS
			not path /redeem/* /connect.js
		}`
	text := caddyfile("", `
	handle_path /data/* {`+stack.SignIn+`
		delegate_proxy widget {
			subject {rp.header.Remote-User}
		}
	}
	handle_path /connect/widget/* {`+member+`
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect widget {
			url     http://127.0.0.1:[[.Port]]/connect/widget
			then    /profile
			subject {rp.header.Remote-User}
		}
	}
	handle_path /as-widget/* {`+member+strings.Replace(appSession, "app_session {", "app_session @member {", 1)+`
		delegate_connect widget {
			url   http://127.0.0.1:[[.Port]]/as-widget
			then  /profile
			realm default
		}
	}
	`, `
	forward_auth [[.AppAddr]] {
		uri /auth
		copy_headers Remote-User
	}
	reverse_proxy `+strings.TrimPrefix(byHand.URL, "http://"))
	text = strings.Replace(text, "\n\tdelegate {", "\n\tdelegate {\n\t\tprovider widget {\n\t\t\tplatform "+w.platform.URL()+"\n\t\t}\n\t\tgrants sqlite "+w.database(), 1)
	if change != nil {
		text = change(text)
	}
	w.load(text)
	return w
}

// database is the file of the grants.
func (w *widgetRig) database() string { return filepath.Join(w.Dir, "grants", "grants.db") }

func (w *widgetRig) serveHomemade(_ http.ResponseWriter, r *http.Request) {
	var body struct {
		SpecialToken string `json:"specialToken"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	if account, ok := w.platform.Exchange(body.SpecialToken); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.homemade[r.Header.Get("Remote-User")] = account
	}
}

// do sends a request as it is.
func (w *widgetRig) do(method, target, body string, lines ...string) reply {
	w.t.Helper()
	return w.send(http1(method, target, w.authority(false), append(lines, fmt.Sprintf("Content-Length: %d", len(body)))...) + body)
}

const jsonType = "Content-Type: application/json"

// byHand wants the control: the homemade endpoint keeps an account for a user.
func (w *widgetRig) byHand(what, session, user, specialToken, account string, lines ...string) {
	w.t.Helper()
	body := handover(specialToken)
	w.send(http1("POST", "/redeem", w.authority(true), append(lines, session, jsonType, fmt.Sprintf("Content-Length: %d", len(body)))...) + body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.homemade[user] != account {
		w.t.Errorf("control, %s: %s has account %q; the test would not see the hole", what, user, w.homemade[user])
	}
}

// handover is the body that hands a special token over.
func handover(specialToken string) string { return `{"specialToken":"` + specialToken + `"}` }

// widgetFlow is what one browser, or native app, knows of a flow.
type widgetFlow struct {
	w       *widgetRig
	at      string // one of widgetConnects
	session string // the header that says who is signed in
	cookie  string // name=value, by which the browser shows that it began the flow; empty for a native app
	redeem  string // path where a special token is posted
	user    string // for whom the widget is opened
}

// begin begins a flow as a user; body is that of POST /start.
func (w *widgetRig) begin(at, user, body string) *widgetFlow {
	w.t.Helper()
	f := &widgetFlow{w: w, at: at, session: w.cookie(user), redeem: at + "/redeem"}
	return f.again(body)
}

// again begins another flow in the same browser.
func (f *widgetFlow) again(body string) *widgetFlow {
	f.w.t.Helper()
	next := *f
	got := f.w.do("POST", f.at+"/start", body, next.cookies(), jsonType)
	var answer struct {
		ClientUserID string `json:"clientUserId"`
		RedeemURL    string `json:"redeem_url"`
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != http.StatusOK || answer.ClientUserID == "" {
		f.w.t.Fatalf("start: %d %s", got.status, got.body)
	}
	next.user = answer.ClientUserID
	if set := got.header.Get("Set-Cookie"); set != "" {
		next.cookie, _, _ = strings.Cut(set, ";")
	}
	if answer.RedeemURL != "" {
		next.redeem = strings.TrimPrefix(answer.RedeemURL, f.w.URL())
		if set := got.header.Get("Set-Cookie"); set != "" || !strings.HasPrefix(next.redeem, f.at+"/redeem/") {
			f.w.t.Fatalf("a native app's flow: %q, cookie %q", answer.RedeemURL, set)
		}
	}
	return &next
}

// cookies is the header of a browser that is signed in and has begun the flow.
func (f *widgetFlow) cookies() string {
	if f.cookie == "" {
		return f.session
	}
	return f.session + "; " + f.cookie
}

// ticket is the ticket of a native app's flow.
func (f *widgetFlow) ticket() string { return strings.TrimPrefix(f.redeem, f.at+"/redeem/") }

// post posts a special token, from the flow's browser or with other lines.
func (f *widgetFlow) post(specialToken string, lines ...string) reply {
	f.w.t.Helper()
	if len(lines) == 0 && !strings.Contains(f.redeem, "/redeem/") {
		lines = []string{f.cookies()}
	}
	return f.w.do("POST", f.redeem, handover(specialToken), append(lines, jsonType)...)
}

// wantConnected is the control: the person's own token, posted from where the flow
// was begun, opens their account's data, and nobody else's.
func (f *widgetFlow) wantConnected(what, account string) {
	f.w.t.Helper()
	f.wantAccepted(what, f.post(f.w.platform.Consent(f.user, account)), account)
}

// wantAccepted wants an answer to have connected the flow's owner to an account.
func (f *widgetFlow) wantAccepted(what string, got reply, account string) {
	f.w.t.Helper()
	if got.status != http.StatusCreated || !strings.Contains(got.body, `"connected":true`) || !strings.Contains(got.body, `"publicToken":"public-`) {
		f.w.t.Fatalf("%s: %d %s", what, got.status, got.body)
	}
	f.w.wantData(what, f.session, account)
}

// wantData wants the person who is signed in to read an account's data; nobody's if
// it is empty.
func (w *widgetRig) wantData(what, session, account string) {
	w.t.Helper()
	got := w.do("GET", "/data/x", "", session)
	if account == "" {
		if got.code() != "consent_required" {
			w.t.Errorf("%s: %d %s; want no grant", what, got.status, got.body)
		}
		return
	}
	if got.status != http.StatusOK || got.body != account {
		w.t.Errorf("%s: %d %s; want the data of %s", what, got.status, got.body, account)
	}
}

// wantRefused wants an answer to be a refusal that begins nothing in a browser.
func (w *widgetRig) wantRefused(what string, got reply, status int, code string) {
	w.t.Helper()
	if got.status != status || got.code() != code {
		w.t.Errorf("%s: %d %s; want %d %s", what, got.status, got.body, status, code)
	}
	if strings.Contains(got.body, "publicToken") || len(got.header["Set-Cookie"]) > 0 {
		w.t.Errorf("%s: %v %s", what, got.header, got.body)
	}
}
