// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"testing"
)

// TestT58_SpecialTokenOfAnotherPerson protects people from whoever has got hold of
// their special token: posted in a flow of one's own it connects nobody, whether or
// not it was used. An endpoint that is written by hand hands the victim's data over.
func TestT58_SpecialTokenOfAnotherPerson(t *testing.T) {
	w := startWidget(t, nil)
	for _, at := range widgetConnects {
		alice, mallory := w.begin(at, "alice of "+at, ""), w.begin(at, "mallory of "+at, "")
		stolen := w.platform.Consent(alice.user, "account of alice "+at)
		w.wantRefused("unused", mallory.post(stolen), http.StatusUnprocessableEntity, "token_rejected")
		w.wantData("unused", mallory.session, "")

		own := w.platform.Consent(alice.user, "account of alice "+at)
		alice.wantAccepted("alice", alice.post(own), "account of alice "+at)
		w.untouched("used", func() {
			w.wantRefused("used", mallory.post(own), http.StatusUnprocessableEntity, "token_rejected")
			native := mallory.again(`{"client":"native"}`)
			w.wantRefused("used, by a native app", native.post(own), http.StatusUnprocessableEntity, "token_rejected")
		})
		// The account is another's, though the widget was opened for oneself.
		w.wantRefused("alice's account", mallory.post(w.platform.Consent(mallory.user, "account of alice "+at)), http.StatusConflict, "account_conflict")
		w.wantData("alice", alice.session, "account of alice "+at)
		w.refused("mallory", http.StatusConflict, "account_conflict", func() reply { return w.do("GET", "/data/x", "", mallory.session) })
		mallory.again("").wantConnected("mallory", "account of mallory "+at)

		victim := w.platform.Consent(alice.user, "account of alice "+at)
		w.byHand(at, mallory.session, "mallory of "+at, victim, "account of alice "+at)
	}
}

// TestT59_FlowOfAnother protects people who share a browser, and those who have
// several: what the widget of one gives ends no flow of the other, and none that was
// begun elsewhere. The platform is not asked.
func TestT59_FlowOfAnother(t *testing.T) {
	w := startWidget(t, nil)
	for _, at := range widgetConnects {
		name := func(who string) string { return who + " of " + at }
		alice, bob := w.begin(at, name("alice"), ""), w.begin(at, name("bob"), "")
		token := w.platform.Consent(alice.user, "account of "+name("alice"))
		w.untouched("other people, other browsers", func() {
			for what, cookies := range map[string]string{
				"bob in alice's browser":               bob.session + "; " + alice.cookie,
				"alice in bob's browser":               alice.session + "; " + bob.cookie,
				"alice without her browser's cookie":   alice.session,
				"alice with both browsers' cookies":    alice.cookies() + "; " + bob.cookie,
				"alice with a cookie of nobody":        alice.session + "; delegate_widget=ABCDEFGHIJKLMNOPQRSTUVWXYZ",
				"alice with an empty cookie":           alice.session + "; delegate_widget=",
				"alice's cookie as one of another use": alice.session + "; x" + alice.cookie,
			} {
				w.wantRefused(what, alice.post(token, cookies), http.StatusGone, "flow_expired")
			}
			w.wantRefused("nobody", alice.post(token, "Cookie: "+alice.cookie), http.StatusUnauthorized, "session_required")
		})
		w.wantData("bob", bob.session, "")

		// Two tabs of one person: either's token counts, whichever is first.
		tab := alice.again("")
		other := w.platform.Consent(tab.user, "account of "+name("alice"))
		tab.wantAccepted("the first tab's token", tab.post(token), "account of "+name("alice"))
		tab.wantAccepted("the other tab's token", tab.post(other), "account of "+name("alice"))
		w.untouched("a third", func() {
			w.wantRefused("a third", tab.post(w.platform.Consent(tab.user, "account of "+name("alice"))), http.StatusGone, "flow_expired")
		})
		bob.wantConnected("bob", "account of "+name("bob"))
		w.byHand(at, bob.session, name("bob"), w.platform.Consent(alice.user, "account of "+name("alice")), "account of "+name("alice"))
	}
}

// TestT71_LoginCSRF protects people from a flow that somebody else has begun, both
// ways: a victim's browser, or app, does not connect the victim's account to the
// attacker, nor the attacker's account to the victim, who would write to it.
func TestT71_LoginCSRF(t *testing.T) {
	w := startWidget(t, nil)
	for _, at := range widgetConnects {
		name := func(who string) string { return who + " of " + at }
		victim, attacker := w.begin(at, name("victim"), ""), w.begin(at, name("attacker"), "")
		native := attacker.again(`{"client":"native"}`)
		evil := []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}

		// The victim's account is to become the attacker's.
		theirs := w.platform.Consent(victim.user, "account of "+name("victim"))
		w.untouched("the attacker's cookie in the victim's browser", func() {
			w.wantRefused("the attacker's cookie", victim.post(theirs, victim.session+"; "+attacker.cookie), http.StatusGone, "flow_expired")
		})
		w.untouched("the attacker's ticket in the victim's browser", func() {
			for _, line := range []string{evil[0], evil[1], "Origin: null", "Origin: " + w.URL(), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors"} {
				w.wantRefused(line, native.post(theirs, victim.cookies(), line), http.StatusForbidden, "cross_origin")
			}
		})
		w.wantRefused("the attacker's ticket in the victim's app", native.post(theirs), http.StatusUnprocessableEntity, "token_rejected")
		w.wantData("the attacker", attacker.session, "")

		// The attacker's account is to become the victim's.
		poison := w.platform.Consent(attacker.user, "account of "+name("attacker"))
		w.untouched("from the attacker's page", func() {
			w.wantRefused("from the attacker's page", victim.post(poison, append(evil, victim.cookies())...), http.StatusForbidden, "cross_origin")
		})
		w.wantRefused("within the victim's page", victim.post(poison), http.StatusUnprocessableEntity, "token_rejected")
		w.wantData("the victim", victim.session, "")

		victim.wantConnected("the victim's own", "account of "+name("victim"))
		native.wantConnected("the attacker's own, by the ticket", "account of "+name("attacker"))
		w.byHand(at, victim.session, name("victim"), w.platform.Consent(attacker.user, "account of "+name("attacker")), "account of "+name("attacker"), evil...)
	}
}
