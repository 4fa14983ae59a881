// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWidget protects the whole way of a platform whose widget stands in the app's
// page: begun, handed over, used, and taken back; begun anew by who returns.
func TestWidget(t *testing.T) {
	w := startWidget(t)
	alice := w.browser("alice")
	data := func(what, want string) {
		t.Helper()
		if a := alice.do(http.MethodGet, "/data/x", ""); a.body != want && !strings.Contains(a.body, `"code":"`+want+`"`) {
			t.Errorf("%s: %d %s; want %s", what, a.StatusCode, a.body, want)
		}
	}
	status := func(want string) {
		t.Helper()
		if a := alice.do(http.MethodGet, "/connect/widget/status", ""); strings.TrimSpace(a.body) != `{"status":"`+want+`"}` {
			t.Errorf("status %d %s; want %s", a.StatusCode, a.body, want)
		}
	}
	counted := make(map[string]int)
	for _, event := range []string{"begun", "connected", "forgotten", "refused"} {
		counted[event] = w.consents(alice, event)
	}
	status("none")
	data("before", "consent_required")
	s := w.startIn(alice, "")
	status("none") // an open page is no consent under way
	a := w.redeemIn(alice, w.platform.Consent(s.ClientUserID, "account 1"))
	if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"connected":true`) || !strings.Contains(a.body, `"publicToken":"public-`) {
		t.Fatalf("redeem: %d %s", a.StatusCode, a.body)
	}
	status("connected")
	data("connected", "account 1")

	// A form, as pages without script post it; and the same person once more.
	s = w.startIn(alice, "")
	a = alice.do(http.MethodPost, "/connect/widget/redeem", "specialToken="+w.platform.Consent(s.ClientUserID, "account 1"), "Content-Type", "application/x-www-form-urlencoded")
	if a.StatusCode != http.StatusCreated {
		t.Fatalf("a form: %d %s", a.StatusCode, a.body)
	}
	if a := alice.do(http.MethodPost, "/connect/widget/disconnect", ""); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/profile?connect=none" {
		t.Errorf("disconnect: %d %v", a.StatusCode, a.Header)
	}
	status("none")
	data("after", "consent_required")

	// A native app: the answer has an address, and the browser no cookie.
	phone := w.browser("alice")
	s = w.startIn(phone, `{"client":"native"}`)
	if s.ExpiresIn > 600 || s.ExpiresIn < 500 || !strings.HasPrefix(s.RedeemURL, w.URL()+"/connect/widget/redeem/") {
		t.Fatalf("native: %+v", s)
	}
	library := w.browser("") // without session and cookie
	a = library.do(http.MethodPost, s.RedeemURL, handover(w.platform.Consent(s.ClientUserID, "account 1")), "Content-Type", "application/json")
	if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"publicToken":"public-`) {
		t.Fatalf("the library: %d %s", a.StatusCode, a.body)
	}
	data("by the library", "account 1")
	for event, n := range map[string]int{"begun": 3, "connected": 3, "forgotten": 1, "refused": 0} {
		if got := w.consents(alice, event) - counted[event]; got != n {
			t.Errorf("counted as %s %d times, want %d", event, got, n)
		}
	}
	if a := alice.do(http.MethodPost, "/connect/widget/start", `{"client":"other"}`, "Content-Type", "application/json"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another client: %d %s", a.StatusCode, a.body)
	}
}

// TestWidgetBodies protects people from bodies of which two readers could have two
// opinions, and the server from large ones: each is refused, nothing is exchanged,
// and the flow goes on.
func TestWidgetBodies(t *testing.T) {
	w := startWidget(t)
	const token = "special-token"
	for name, c := range map[string]struct {
		body, kind string
		status     int
		code       string
	}{
		"missing":     {`{}`, "application/json", 422, "token_rejected"},
		"empty":       {"", "application/json", 422, "token_rejected"},
		"empty token": {handover(""), "application/json", 422, "token_rejected"},
		"empty form":  {"", "application/x-www-form-urlencoded", 422, "token_rejected"},
		"an array":    {`["` + token + `"]`, "application/json", 422, "token_rejected"},
		"a list":      {`{"specialToken":["` + token + `"]}`, "application/json", 422, "token_rejected"},
		"a number":    {`{"specialToken":1}`, "application/json", 422, "token_rejected"},
		"null":        {`{"specialToken":null}`, "application/json", 422, "token_rejected"},
		"null alone":  {`null`, "application/json", 422, "token_rejected"},
		"twice":       {`{"specialToken":"` + token + `","specialToken":"` + token + `"}`, "application/json", 422, "token_rejected"},
		"form twice":  {"specialToken=" + token + "&specialToken=" + token, "application/x-www-form-urlencoded", 422, "token_rejected"},
		"1 MB":        {handover(token + strings.Repeat("x", 1<<20)), "application/json", 413, "body_too_large"},
		"10 KB":       {handover(token + strings.Repeat("x", 10<<10)), "application/json", 422, "token_rejected"},
	} {
		b := w.browser("user " + name) // how often one may try is bounded
		for where, start := range map[string]string{"page": "", "ticket": `{"client":"native"}`} {
			s, target := w.startIn(b, start), "/connect/widget/redeem"
			if s.RedeemURL != "" {
				target = s.RedeemURL
			}
			before := w.platform.Exchanges()
			a := b.do(http.MethodPost, target, c.body, "Content-Type", c.kind)
			if a.StatusCode != c.status || !strings.Contains(a.body, `"code":"`+c.code+`"`) || w.platform.Exchanges() != before {
				t.Errorf("%s, %s: %d %s, %d exchanges; want %s and none", name, where, a.StatusCode, a.body, w.platform.Exchanges()-before, c.code)
			}
			own := handover(w.platform.Consent(s.ClientUserID, "account of "+name))
			if a := b.do(http.MethodPost, target, own, "Content-Type", "application/json"); a.StatusCode != http.StatusCreated {
				t.Errorf("control, %s, %s: %d %s", name, where, a.StatusCode, a.body)
			}
		}
	}
}

// TestWidgetAtOnce protects people from a page that posts several times: the
// platform is asked once, and all posts have its answer.
func TestWidgetAtOnce(t *testing.T) {
	w := startWidget(t)
	alice := w.browser("alice")
	alice.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	counted := w.consents(alice, "connected")
	for target, s := range map[string]started{"/connect/widget/redeem": w.startIn(alice, ""), "": w.startIn(alice, `{"client":"native"}`)} {
		if target == "" {
			target = s.RedeemURL
		}
		before, release := w.platform.Exchanges(), w.platform.Hold()
		token := w.platform.Consent(s.ClientUserID, "account of alice")
		var wg sync.WaitGroup
		answers := make(chan answer, 100)
		for range 100 {
			wg.Go(func() {
				answers <- alice.do(http.MethodPost, target, handover(token), "Content-Type", "application/json")
			})
		}
		for deadline := time.Now().Add(20 * time.Second); w.platform.Waiting() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the platform was not asked")
			}
		}
		release()
		wg.Wait()
		close(answers)
		for a := range answers {
			if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"publicToken":"public-`) {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
		}
		if n := w.platform.Exchanges() - before; n != 1 {
			t.Errorf("%d exchanges for 100 posts", n)
		}
	}
	if n := w.consents(alice, "connected") - counted; n != 2 {
		t.Errorf("counted as connected %d times, want 2", n)
	}
}

// TestWidgetUncertain protects people from a platform that does not answer: the same
// token may be posted again, by the same flow and by no other, and counts once.
func TestWidgetUncertain(t *testing.T) {
	w := startWidget(t)
	alice, bob := w.browser("alice"), w.browser("bob")
	s := w.startIn(alice, "")
	w.startIn(bob, "")
	token := w.platform.Consent(s.ClientUserID, "account of alice")
	w.platform.SetDown(true)
	if a := w.redeemIn(alice, token); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Fatalf("down: %d %s", a.StatusCode, a.body)
	}
	w.platform.SetDown(false)
	before := w.platform.Exchanges()
	if a := w.redeemIn(bob, token); a.StatusCode != http.StatusUnprocessableEntity || w.platform.Exchanges() != before {
		t.Errorf("by another: %d %s, %d exchanges", a.StatusCode, a.body, w.platform.Exchanges()-before)
	}
	if a := w.redeemIn(alice, token); a.StatusCode != http.StatusCreated {
		t.Errorf("again: %d %s", a.StatusCode, a.body)
	}
	if a := alice.do(http.MethodGet, "/data/x", ""); a.body != "account of alice" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// TestWidgetLimits protects the platform from one person who posts token after
// token, and the others from being refused for it.
func TestWidgetLimits(t *testing.T) {
	w := startWidget(t)
	mallory, alice := w.browser("mallory"), w.browser("alice")
	w.startIn(mallory, "")
	refused := 0
	for n := range 20 {
		if a := w.redeemIn(mallory, fmt.Sprint("guess-", n)); a.StatusCode == http.StatusTooManyRequests {
			refused++
			if a.Header.Get("Retry-After") == "" {
				t.Error("without Retry-After")
			}
		}
	}
	if n := w.platform.Exchanges(); n > 6 || refused < 14 {
		t.Errorf("%d exchanges, %d refused", n, refused)
	}
	s := w.startIn(alice, "")
	if a := w.redeemIn(alice, w.platform.Consent(s.ClientUserID, "account of alice")); a.StatusCode != http.StatusCreated {
		t.Errorf("somebody else: %d %s", a.StatusCode, a.body)
	}
}
