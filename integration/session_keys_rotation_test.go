// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestC9_ANewKeyUnderTheOldName protects users from being sent to the login again
// and again, and for an hour, when their issuer has replaced a key and kept its
// name; and everybody meanwhile from strangers who send what no key has signed.
func TestC9_ANewKeyUnderTheOldName(t *testing.T) {
	old, young, stranger, i := newECKey(t), newECKey(t), newECKey(t), newKeyIssuer(t)
	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": old}, nil))
	s := start(t, sessionSite(i.settings()))
	u := signIn(t, s, "alice")
	began := time.Now()
	calls := func() {
		t.Helper()
		// Three at once, then one in 10 s.
		if n, most := i.calls.Load(), 3+int64(time.Since(began)/(10*time.Second)); n > most {
			t.Errorf("%d calls for the keys in %s", n, time.Since(began))
		}
	}
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, old, "k", loginClaims("alice"))).want(t, http.StatusOK, "")
	// A flood: all of it is refused, and whoever is signed in is served, also who
	// was not seen yet.
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for m := range 25 {
				kid := []string{"k", strconv.Itoa(n*100 + m), ""}[m%3]
				token := signed(t, jose.ES256, stranger, kid, loginClaims(fmt.Sprint("stranger-", n, m)))
				a, err := u.try(u.with(http.MethodGet, "/who", "Authorization", "Bearer "+token))
				switch {
				case err != nil:
					t.Error(err)
				case a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusServiceUnavailable:
					t.Errorf("a stranger: %d %s", a.StatusCode, a.body)
				}
				honest := signed(t, jose.ES256, old, "k", loginClaims(fmt.Sprint("user-", n, m)))
				if a, err := u.try(u.with(http.MethodGet, "/who", "Authorization", "Bearer "+honest)); err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("who is signed in: %d %v", a.StatusCode, err)
				}
			}
		})
	}
	all.Wait()
	calls()

	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": young}, nil))
	session := signed(t, jose.ES256, young, "k", loginClaims("alice"))
	told := 0
	eventually(t, "the new key", func() bool {
		a := u.as(http.MethodGet, "/who", session)
		if a.StatusCode == http.StatusOK {
			return true
		}
		a.want(t, http.StatusServiceUnavailable, "session_unavailable")
		if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 10 {
			t.Fatalf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		told++
		u.as(http.MethodGet, "/who", signed(t, jose.ES256, stranger, "k", loginClaims(fmt.Sprint("stranger", told)))) // goes on
		return false
	})
	calls()
	// What the old key has signed for somebody who was not seen is worth nothing.
	late := signed(t, jose.ES256, old, "k", loginClaims("late"))
	eventually(t, "who is not signed in", func() bool {
		a := u.as(http.MethodGet, "/who", late)
		if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusServiceUnavailable {
			t.Fatal(a.StatusCode, a.body)
		}
		return a.StatusCode == http.StatusUnauthorized
	})
	calls()
}

// TestC9_StrangersAreNoFault protects operators' nights from alarms that anybody
// can set off: that a stranger's token cannot be judged at once is no error.
func TestC9_StrangersAreNoFault(t *testing.T) {
	key, stranger, i := newECKey(t), newECKey(t), newKeyIssuer(t)
	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil))
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	later := 0
	for n := range 10 {
		if u.as(http.MethodGet, "/who", signed(t, jose.ES256, stranger, "k", loginClaims(strconv.Itoa(n)))).StatusCode == http.StatusServiceUnavailable {
			later++
		}
	}
	found, _ := lines(t, file, "refused")
	if later == 0 || len(found) != 10 {
		t.Fatalf("%d lines, %d answered 503", len(found), later)
	}
	for _, line := range found {
		if line["level"] != "info" {
			t.Errorf("%v", line)
		}
	}
}
