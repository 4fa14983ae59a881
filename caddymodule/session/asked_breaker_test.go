// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestBreakerOpens protects an app that is down from everybody's questions,
// and everybody from waiting for it.
func TestBreakerOpens(t *testing.T) {
	for name, answer := range map[string]func(*judge){
		"503":             func(j *judge) { j.status = 503 },
		"401":             func(j *judge) { j.status = 401 },
		"does not answer": func(j *judge) { j.delay = time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &judge{body: anybodysIn, header: http.Header{"Retry-After": {"20"}}}
				a := asking(j)
				for n := range 10 {
					expect(t, a, j, strconv.Itoa(n), "", n+1)
				}
				answer(j)
				for n := range 10 {
					expect(t, a, j, strconv.Itoa(n), unknowable, 10+min(n+1, 3))
				}
				began := time.Now()
				_, err := a.Verify(t.Context(), bearer("x"))
				r, ok := errors.AsType[*delegation.Refusal](err)
				if !ok || r.Code != delegation.SessionUnavailable || r.RetryAfter <= 0 || time.Since(began) > 0 {
					t.Errorf("%v after %s", err, time.Since(began))
				}
				// What one answer asks for bounds nobody else.
				if r.RetryAfter > time.Second {
					t.Errorf("to be asked again in %s", r.RetryAfter)
				}
				if s := a.breaker.Status(); s.State != circuit.Open || s.Code != delegation.SessionUnavailable {
					t.Errorf("%+v", s)
				}
				j.mu.Lock()
				j.status, j.delay = 0, 0
				j.mu.Unlock()
				time.Sleep(21 * time.Second)
				expect(t, a, j, "0", "", 14)
				expect(t, a, j, "1", "", 15)
			})
		})
	}
}

// TestBreakerStaysClosed protects everybody's sessions from credentials that
// make an app stumble: anybody can send them.
func TestBreakerStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{400, 403, 429, 431, 500, 502, 503, 504} {
			j := &judge{status: status}
			a := asking(j)
			for n := range 20 {
				expect(t, a, j, "odd"+strconv.Itoa(n), unknowable, n+1)
			}
			expect(t, a, j, "odd19", unknowable, 20) // remembered for a moment, for this one alone
			j.say(0, aliceIsIn)
			expect(t, a, j, askedCredential, "", 21)
			expect(t, a, j, "odd19", unknowable, 21)
			time.Sleep(failedLife + 1)
			expect(t, a, j, "odd19", "", 22)
		}
	})
}

// TestBreakerLearns protects from a breaker that opens for an app that answers
// most of the time, and from one that stays open once it was tried in vain.
func TestBreakerLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(judge)
		a := asking(j)
		j.say(0, anybodysIn)
		for _, name := range []string{"0", "1", "2", "3"} {
			expect(t, a, j, name, "", -1)
		}
		for n, answers := range []string{aliceIsIn, `{"active":false}`} {
			for i := range 2 * 5 {
				j.say(503, "")
				expect(t, a, j, "down"+strconv.Itoa(100*n+i), unknowable, -1)
				if i%2 == 1 {
					j.say(0, answers)
					_, _ = a.Verify(t.Context(), bearer("up"+strconv.Itoa(100*n+i)))
				}
			}
		}
		if a.breaker.Status().State != circuit.Closed {
			t.Fatalf("%+v", a.breaker.Status())
		}
		j.say(503, "")
		for n := range 3 {
			expect(t, a, j, strconv.Itoa(n), unknowable, -1)
		}
		calls := j.count()
		time.Sleep(2 * time.Second)
		j.say(500, "")
		expect(t, a, j, "odd", unknowable, calls+1)
		j.say(0, aliceIsIn)
		expect(t, a, j, askedCredential, "", calls+2)
	})
}
