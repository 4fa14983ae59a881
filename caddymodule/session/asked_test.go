// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
)

const aliceIsIn = `{"active":true,"sub":"alice"}`

func asking(j *judge) *RemoteVerifier {
	a := NewRemoteVerifier(&Introspection{URL: testIssuer, Realm: "r", Client: j.client()}, 0)
	a.ClientAddress = clientFrom
	return a
}

// TestSingleFlight protects who is asked from a page that sends a hundred
// requests at once: one question answers as many as may wait, and the others
// are not made to.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn, delay: time.Second}
		a := asking(j)
		var all sync.WaitGroup
		var mu sync.Mutex
		outcomes := make(map[string]int)
		for range 100 {
			all.Go(func() {
				s, err := a.Verify(t.Context(), bearer(askedCredential))
				mu.Lock()
				defer mu.Unlock()
				outcomes[outcome(t, s, err)]++
			})
		}
		all.Wait()
		if j.count() != 1 || outcomes[""] != maxWaitingPerSession || outcomes[unknowable] != 100-maxWaitingPerSession {
			t.Errorf("%d calls, %v", j.count(), outcomes)
		}
		if s := expect(t, a, j, "of-bob", "", 2); s.digest != sessionDigest("of-bob") {
			t.Error("another credential got the same answer")
		}
	})
}

// TestLeaderLeaves protects everybody else from one client that hangs up.
func TestLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn, delay: time.Second}
		a := asking(j)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			began := time.Now()
			s, err := a.Verify(ctx, bearer(askedCredential))
			if got := outcome(t, s, err); got != unknowable || !errors.Is(err, context.Canceled) || time.Since(began) > 500*time.Millisecond {
				t.Errorf("who has left: %q after %s", got, time.Since(began))
			}
		})
		synctest.Wait()
		all.Go(func() { expect(t, a, j, askedCredential, "", 1) })
		time.Sleep(500 * time.Millisecond)
		cancel()
		all.Wait()
	})
}

// from is a request's context, from the nth address.
func from(t *testing.T, n int) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), clientKey{}, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}).String())
}

type clientKey struct{}

func clientFrom(ctx context.Context) string {
	address, _ := ctx.Value(clientKey{}).(string)
	return address
}

// TestSlow protects requests from waiting for ever, and an app from more
// questions at once than it has room for.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn, delay: time.Second}
		a := asking(j)
		began := time.Now()
		var all sync.WaitGroup
		var mu sync.Mutex
		outcomes := make(map[string]int)
		for n := range 200 {
			all.Go(func() {
				s, err := a.Verify(from(t, n), bearer(strconv.Itoa(n)))
				mu.Lock()
				defer mu.Unlock()
				outcomes[outcome(t, s, err)]++
			})
		}
		all.Wait()
		if took := time.Since(began); j.most != maxUnknownCalls || took > DefaultRemoteTimeout || outcomes[""] < 4*maxUnknownCalls || outcomes[nobodyKnows] > 0 {
			t.Errorf("%d at once, %s, %v", j.most, took, outcomes)
		}
		// A queue is not the app's fault, and nobody's credential is worse for it.
		if s := a.breaker.Status(); s.State != circuit.Closed {
			t.Errorf("%+v", s)
		}
		expect(t, a, j, "199", "", j.count()+1)
	})
}

// TestQueueOfAnOutage protects an app that hangs from those that have queued
// when everybody learns that it does.
func TestQueueOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: anybodysIn}
		a := asking(j)
		for n := range 200 {
			expect(t, a, j, strconv.Itoa(n), "", n+1)
		}
		j.mu.Lock()
		j.delay = time.Minute
		j.mu.Unlock()
		var all sync.WaitGroup
		for n := range 200 {
			if n == maxSeenCalls {
				time.Sleep(DefaultRemoteTimeout / 2)
			}
			all.Go(func() { expect(t, a, j, strconv.Itoa(n), unknowable, -1) })
		}
		all.Wait()
		// Up to three have taken the places of the first to fail.
		if n := j.count() - 200; n > maxSeenCalls+maxUnknownCalls+3 || a.breaker.Status().State == circuit.Closed {
			t.Errorf("%d calls, %+v", n, a.breaker.Status())
		}
	})
}

// TestTooManyWait protects memory from requests that wait, and who comes now
// from those that lie there: of the address with most of them the oldest makes
// room.
func TestTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn, delay: time.Second}
		a := asking(j)
		var all sync.WaitGroup
		var refused atomic.Int64
		for n := range maxWaiting + 100 {
			all.Go(func() {
				if _, err := a.Verify(t.Context(), bearer(strconv.Itoa(n))); err != nil {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := refused.Load(); n != 100-int64(unknownLimits.PerOwner) {
			t.Errorf("%d were refused", n)
		}
		began := time.Now()
		expect(t, a, j, "one-more", "", -1)
		if time.Since(began) > 2*time.Second {
			t.Errorf("it waited for %s", time.Since(began))
		}
		all.Wait()
	})
}

// TestRefusals protects an app from being asked again and again about a
// session that has ended, and its user from being kept out for long.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: `{"active":false}`}
		a := asking(j)
		expect(t, a, j, askedCredential, required, 1)
		j.say(0, aliceIsIn)
		time.Sleep(refusedLife)
		expect(t, a, j, askedCredential, required, 1)
		expect(t, a, j, "another", "", 2)
		time.Sleep(time.Millisecond)
		expect(t, a, j, askedCredential, "", 3)
		j.say(0, `{"active":false}`)
		expect(t, a, j, askedCredential, required, 4) // a session is not remembered here

		for n := range maxRefused + 1000 {
			_, _ = a.Verify(t.Context(), bearer("forged"+strconv.Itoa(n)))
		}
		if n := a.refused.Len(); n > maxRefused*11/10 { // shards do not fill evenly
			t.Errorf("%d refusals are remembered", n)
		}
	})
}

// TestStrangersKeepNobodyOut protects who is signed in from a flood of made-up
// sessions, whose senders do not even wait: their own is asked about all the
// same, and there is an end to what the others leave behind.
func TestStrangersKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn}
		a := asking(j)
		expect(t, a, j, askedCredential, "", 1)
		j.mu.Lock()
		j.delay = time.Second
		j.mu.Unlock()
		gone, leave := context.WithCancel(t.Context())
		for n := range 10_000 {
			go func() { _, _ = a.Verify(gone, bearer("made up"+strconv.Itoa(n))) }()
		}
		time.Sleep(time.Millisecond)
		leave()
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > maxWaiting+100 {
			t.Errorf("%d goroutines", n)
		}
		began := time.Now()
		s, err := a.Verify(t.Context(), Credential{Text: askedCredential, Source: InBearer})
		if code := codeOf(t, s, err); code != "" || time.Since(began) > time.Second {
			t.Errorf("%q after %s", code, time.Since(began))
		}
		time.Sleep(DefaultRemoteTimeout)
	})
}

// TestBroken protects the server from a verifier that is broken.
func TestBroken(t *testing.T) {
	for name, v := range map[string]Verifier{"panics": &Introspection{URL: testIssuer}, "no refusal": broken{}} {
		s, err := NewRemoteVerifier(v, 0).Verify(t.Context(), bearer(askedCredential))
		if got := outcome(t, s, err); got != unknowable {
			t.Errorf("%s: %q", name, got)
		}
	}
}

type broken struct{}

func (broken) Verify(context.Context, Credential) (*Session, error) {
	return nil, errors.New("broken")
}
