// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"io"
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

// TestClients protects who has one address from being told apart by how it is
// written, and everybody from one who has a whole network of IPv6.
func TestClients(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32",
		"2001:db8::1": "2001:db8::/64", "2001:db8:0:0:ffff::2": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
		"": "invalid Prefix", "x": "invalid Prefix",
	} {
		if got := ClientNetwork(address).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestReputations protects new addresses from those of which only forgeries
// come, also if somebody signs in there now and then.
func TestReputations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNetworkReputations()
		client := ClientNetwork("192.0.2.1")
		want := func(rank fairqueue.Rank) {
			t.Helper()
			if got := r.rank(client); got != rank {
				t.Errorf("rank %d, want %d", got, rank)
			}
		}
		want(fairqueue.RankMiddle)
		for range maxRefusedNew {
			r.recordRefused(client)
		}
		want(fairqueue.RankMiddle)
		r.recordRefused(client)
		want(fairqueue.RankLast)
		r.recordValid(client)
		want(fairqueue.RankFirst)
		for range maxRefusedSinceValid - 1 {
			r.recordRefused(client)
		}
		want(fairqueue.RankFirst)
		r.recordRefused(client)
		want(fairqueue.RankMiddle)
		r.recordValid(client)
		want(fairqueue.RankFirst)
		time.Sleep(validNetworkLife + 1)
		want(fairqueue.RankMiddle)
		r.recordRefused(client)
		time.Sleep(refusedNetworkLife + 1)
		want(fairqueue.RankMiddle)
	})
}

// others are an app that answers one credential in a way of its own, or a
// hundred of one person, and all others well.
type others struct {
	fakeServer
	odd func(credential string, ctx context.Context) (*http.Response, error)
}

func (o *others) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.ParseForm() == nil {
		if res, err := o.odd(req.Form.Get("token"), req.Context()); res != nil || err != nil {
			if res != nil {
				res.Request = req
			}
			return res, err
		}
	}
	return o.fakeServer.RoundTrip(req)
}

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {"60"}}, Body: http.NoBody}
}

// TestA1_OnePersonsSessions: whatever is answered about the sessions of one
// person, however many they have, valid before or not, the other 19 do not
// notice for ten minutes.
func TestA1_OnePersonsSessions(t *testing.T) {
	hang := func(ctx context.Context) (*http.Response, error) { <-ctx.Done(); return nil, ctx.Err() }
	for name, answer := range map[string]func(ctx context.Context) (*http.Response, error){
		"429":      func(context.Context) (*http.Response, error) { return status(429), nil },
		"500":      func(context.Context) (*http.Response, error) { return status(500), nil },
		"503":      func(context.Context) (*http.Response, error) { return status(503), nil },
		"hangs":    hang,
		"hangs up": func(context.Context) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var trouble atomic.Bool
				o := &others{fakeServer: fakeServer{body: anybodysIn}}
				o.odd = func(credential string, ctx context.Context) (*http.Response, error) {
					if credential[0] != 'm' {
						return nil, nil
					}
					if trouble.Load() {
						return answer(ctx)
					}
					j := &fakeServer{body: aliceIsIn}
					req, _ := http.NewRequestWithContext(ctx, http.MethodPost, testIssuer, nil)
					return j.RoundTrip(req)
				}
				a := NewRemoteVerifier(&Introspection{URL: testIssuer, Realm: "r", Client: &http.Client{Transport: o}}, 0)
				a.ClientNetwork = clientFrom
				c := NewCache(a, NewRevocations(), 30*time.Second)
				verify := func(n int, credential string) error {
					_, err := c.Verify(from(t, n), bearer(credential))
					return err
				}
				for n := range 20 {
					for i := range 3 {
						if err := verify(n, fmt.Sprintf("%c-%d", 'a'+n, i)); err != nil {
							t.Fatal(err)
						}
					}
				}
				trouble.Store(true)
				var all sync.WaitGroup
				for second := range 600 {
					for i := range 3 {
						all.Go(func() { _ = verify('m'-'a', fmt.Sprintf("m-%d", i)) })
					}
					if second%20 == 0 { // and signs in anew all the time
						all.Go(func() { _ = verify('m'-'a', fmt.Sprintf("m-new-%d", second)) })
					}
					for n := range 20 {
						if n == 'm'-'a' {
							continue
						}
						all.Go(func() {
							began := time.Now()
							if err := verify(n, fmt.Sprintf("%c-%d", 'a'+n, second%3)); err != nil || time.Since(began) > time.Second {
								t.Errorf("%d in second %d: %v after %s", n, second, err, time.Since(began))
							}
						})
					}
					if second%60 == 30 {
						all.Go(func() {
							if err := verify(20, fmt.Sprintf("new-%d", second)); err != nil {
								t.Errorf("a new sign-in: %v", err)
							}
						})
					}
					time.Sleep(time.Second)
				}
				all.Wait()
				if s := a.breaker.Status(); s.State != circuit.Closed {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestA1_DeadServer tells a server that nobody can reach from one that is slow:
// one question that could not be sent refuses nobody else, three do.
func TestA1_DeadServer(t *testing.T) {
	server := &http.Client{Timeout: time.Second}
	a := NewRemoteVerifier(&Introspection{URL: "http://127.0.0.1:1", Realm: "r", Client: server}, 0)
	for n := range 3 {
		if s := a.breaker.Status(); s.State != circuit.Closed {
			t.Errorf("%+v after %d questions", s, n)
		}
		_, _ = a.Verify(t.Context(), bearer(strconv.Itoa(n)))
	}
	if s := a.breaker.Status(); s.State != circuit.Open {
		t.Errorf("%+v", s)
	}
}

// TestA1_RetryAfterIsTheirs: how long an answer asks to wait, it asks of this
// credential alone.
func TestA1_RetryAfterIsTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeServer{status: 429, header: http.Header{"Retry-After": {"40"}}}
		a := newTestVerifier(j)
		expect(t, a, j, "one", unknowable, 1)
		j.respond(0, aliceIsIn)
		time.Sleep(39 * time.Second)
		_, err := a.Verify(t.Context(), bearer("one"))
		if r := delegation.AsRefusal(err); err == nil || r.RetryAfter > time.Second || j.count() != 1 {
			t.Errorf("%v, to be asked again in %s, %d calls", err, r.RetryAfter, j.count())
		}
		expect(t, a, j, "another", "", 2)
		time.Sleep(2 * time.Second)
		expect(t, a, j, "one", "", 3)
	})
}

// TestAc_Forgeries protects those who sign in from 900 forgeries that lie in
// the queue, of one address, of many, or of their own.
func TestAc_Forgeries(t *testing.T) {
	for name, c := range map[string]struct {
		addresses int
		own       bool // they sign in from the same address
		before    bool // forgeries came from there before
	}{
		"one address":      {addresses: 1},
		"ninety addresses": {addresses: 90},
		"the same address": {addresses: 1, own: true},
		"nine hundred, of which nothing is known": {addresses: 900},
		"many, known for it":                      {addresses: 200, before: true},
		"no address at all":                       {addresses: 0, own: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &others{fakeServer: fakeServer{body: aliceIsIn, delay: 300 * time.Millisecond}}
				o.odd = func(credential string, ctx context.Context) (*http.Response, error) {
					if credential[:4] != "forg" {
						return nil, nil
					}
					time.Sleep(300 * time.Millisecond)
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: inactive()}, nil
				}
				a := NewRemoteVerifier(&Introspection{URL: testIssuer, Realm: "r", Client: &http.Client{Transport: o}}, 0)
				a.ClientNetwork = clientFrom
				client := func(n int) context.Context {
					if c.addresses == 0 {
						return t.Context()
					}
					return from(t, n)
				}
				if c.before {
					for n := range c.addresses * (maxRefusedNew + 1) {
						_, _ = a.Verify(client(n%c.addresses), bearer(fmt.Sprintf("forged-before-%d", n)))
					}
				}
				var all sync.WaitGroup
				for round := range 3 { // they come again and again
					for n := range 900 {
						all.Go(func() { _, _ = a.Verify(client(n%max(c.addresses, 1)), bearer(fmt.Sprintf("forged-%d-%d", round, n))) })
					}
					synctest.Wait()
					for n := range 40 {
						all.Go(func() {
							from := client(2000 + n)
							if c.own {
								from = client(0)
							}
							if _, err := a.Verify(from, bearer(fmt.Sprintf("new-%d-%d", round, n))); err != nil {
								t.Errorf("%d: %v", n, err)
							}
						})
					}
					time.Sleep(2 * time.Second)
				}
				all.Wait()
			})
		})
	}
}

func inactive() io.ReadCloser { return io.NopCloser(strings.NewReader(`{"active":false}`)) }
