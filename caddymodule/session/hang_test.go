// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
)

// hangs is an app that does not answer for credentials that hold "hang" once it
// is told so, and knows everybody else: the part before the dash is their name.
func hangs(hanging *atomic.Bool) *others {
	o := &others{judge: judge{body: anybodysIn}}
	o.odd = func(credential string, ctx context.Context) (*http.Response, error) {
		if strings.Contains(credential, "hang") && hanging.Load() {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		who, _, _ := strings.Cut(credential, "-")
		j := &judge{body: strings.ReplaceAll(anybodysIn, anybody, who)}
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, testIssuer, nil)
		return j.RoundTrip(req)
	}
	return o
}

// TestAFewPeopleHang protects everybody from a few people for some of whose
// sessions the app hangs, as PHP does while another request holds the session's
// lock, and who have it answer for others of theirs in between.
func TestAFewPeopleHang(t *testing.T) {
	for _, few := range []int{3, 4, 6, 12} {
		t.Run(strconv.Itoa(few), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hanging atomic.Bool
				a := NewRemoteVerifier(&Introspection{URL: testIssuer, Realm: "r", Client: &http.Client{Transport: hangs(&hanging)}}, 0)
				verify := func(credential string) error {
					_, err := a.Verify(t.Context(), bearer(credential))
					return err
				}
				const others, sessions = 150, 8
				for n := range others {
					_ = verify(fmt.Sprintf("well%d-x", n))
				}
				for n := range few {
					for i := range sessions {
						_, _ = verify(fmt.Sprintf("few%d-well%d", n, i)), verify(fmt.Sprintf("few%d-hang%d", n, i))
					}
				}
				hanging.Store(true)
				ctx, stop := context.WithCancel(t.Context())
				var all sync.WaitGroup
				for n := range few {
					all.Go(func() {
						for i := 0; ctx.Err() == nil; i++ {
							_ = verify(fmt.Sprintf("few%d-well%d", n, i%sessions))
							var two sync.WaitGroup
							for k := range 2 {
								two.Go(func() { _ = verify(fmt.Sprintf("few%d-hang%d", n, (2*i+k)%sessions)) })
							}
							two.Wait()
							time.Sleep(time.Millisecond) // what is remembered takes no time
						}
					})
				}
				refused, late := 0, 0
				for n := range 3 * others {
					time.Sleep(150 * time.Millisecond)
					began := time.Now()
					if verify(fmt.Sprintf("well%d-x", n%others)) != nil {
						refused++
					}
					if time.Since(began) > time.Second {
						late++
					}
				}
				if refused > 0 || late > 0 {
					t.Errorf("of %d others' questions %d were refused, %d took more than a second", 3*others, refused, late)
				}
				if s := a.breaker.Status(); s.State != circuit.Closed {
					t.Errorf("%+v", s)
				}
				stop()
				all.Wait()
			})
		})
	}
}

// TestProbeDoesNotQueue protects everybody from waiting, once there are answers
// again, until those have given up who hold the slots.
func TestProbeDoesNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := asking(&judge{body: anybodysIn})
		if _, err := a.Verify(t.Context(), bearer("well")); err != nil {
			t.Fatal(err)
		}
		for n := range maxSeenCalls + maxUnknownCalls {
			q := a.seenLane.queue
			if n >= maxSeenCalls {
				q = a.unknownLane.queue
			}
			if _, err := q.Acquire(t.Context(), queueOwner{person: delegation.Person{Subject: strconv.Itoa(n)}}, fairqueue.RankFirst); err != nil {
				t.Fatal(err)
			}
		}
		for n := range circuit.MinPeople {
			who := circuit.KnownPerson(delegation.Person{Subject: strconv.Itoa(n)})
			a.breaker.Record(circuit.Permit{}, who, circuit.ServiceFailed(unavailable(nil)))
		}
		if _, err := a.Verify(t.Context(), bearer("well")); err == nil {
			t.Error("the breaker is closed")
		}
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := a.Verify(t.Context(), bearer("well")); err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if s := a.breaker.Status(); s.State != circuit.Closed {
			t.Errorf("%+v", s)
		}
	})
}

// TestA1_ManyPeopleHang protects who is signed in from any number of others for
// whom the app hangs, one after the other: once it did, they share a half of
// the questions.
func TestA1_ManyPeopleHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hanging atomic.Int64
		o := &others{judge: judge{body: anybodysIn}}
		o.odd = func(credential string, ctx context.Context) (*http.Response, error) {
			if n, err := strconv.Atoi(credential); err == nil && int64(n) < hanging.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, nil
		}
		a := NewRemoteVerifier(&Introspection{URL: testIssuer, Realm: "r", Client: &http.Client{Transport: o}}, 0)
		verify := func(credential string) error {
			_, err := a.Verify(t.Context(), bearer(credential))
			return err
		}
		for n := range 20 {
			_, _ = verify(strconv.Itoa(n)), verify(fmt.Sprint("well", n))
		}
		var all sync.WaitGroup
		for second := range 300 {
			hanging.Store(int64(second / 10))
			for n := range min(second/10, 20) {
				all.Go(func() { _ = verify(strconv.Itoa(n)) })
			}
			synctest.Wait()
			for n := range 20 {
				began := time.Now()
				if err := verify(fmt.Sprint("well", n)); err != nil || time.Since(began) > 0 {
					t.Errorf("%v after %s", err, time.Since(began))
				}
			}
			time.Sleep(time.Second)
		}
		all.Wait()
	})
}

// TestA1_SilentSessionsAreAskedAboutLess protects the slots of an address from
// sessions for which the app always hangs, and whose requests keep coming.
func TestA1_SilentSessionsAreAskedAboutLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{delay: time.Minute, body: aliceIsIn}
		a := asking(j)
		for range 120 {
			_, _ = a.Verify(t.Context(), bearer("hangs"))
			time.Sleep(time.Second)
		}
		if n := j.count(); n > 9 {
			t.Errorf("asked %d times", n)
		}
		j.mu.Lock()
		j.delay = 0
		j.mu.Unlock()
		time.Sleep(31 * time.Second)
		expect(t, a, j, "hangs", "", -1)
	})
}
