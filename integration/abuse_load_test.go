// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT38_UncoveredRoute protects everybody from one person who hammers a route
// that the platform never opens to them: it costs one new token, not one for
// each request, whether the body can be sent again or not, and nobody else fails.
func TestT38_UncoveredRoute(t *testing.T) {
	const uncovered = "/mdh/api/v1/delegated/custom/uncovered"
	for name, hammer := range map[string]func(u *user) *http.Request{
		"GET":  func(u *user) *http.Request { return u.request(http.MethodGet, uncovered, nil) },
		"POST": func(u *user) *http.Request { return u.request(http.MethodPost, uncovered, strings.NewReader("{}")) },
		"streaming": func(u *user) *http.Request {
			return u.request(http.MethodPost, uncovered, io.MultiReader(strings.NewReader("{}")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, proxied("max_fails 1\nfail_duration 1h", ""))
			unlimited(s)
			s.Platform.Set(func(set *simulator.Settings) { set.UnauthorizedPaths = []string{strings.TrimPrefix(uncovered, "/mdh")} })
			alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
			alice.get(participantPath).want(t, http.StatusOK, "")
			bob.get(participantPath).want(t, http.StatusOK, "")
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 25 {
						a, err := alice.try(hammer(alice))
						if err != nil || a.StatusCode != http.StatusBadGateway || a.code() != "upstream_unauthorized" {
							t.Errorf("%d %s %v", a.StatusCode, a.body, err)
							return
						}
					}
				})
			}
			for range 50 {
				bob.get(participantPath).want(t, http.StatusOK, "")
				alice.get(participantPath).want(t, http.StatusOK, "")
			}
			wg.Wait()
			// One each at the start, and one more of alice. A second one is for a
			// request that got its 401 before it was known that no token helps.
			await(t, "the renewal", func() bool { return s.Platform.Counts().ParticipantTokens >= 3 })
			before := s.Platform.Counts()
			if before.ParticipantTokens > 4 || before.ServiceTokens != 1 {
				t.Errorf("%+v; want one or two renewals in 200 requests", before)
			}

			// A token that is revoked in earnest heals at once on another route.
			s.Platform.Revoke(stack.Alice.ID)
			alice.get(participantPath).want(t, http.StatusOK, "")
			if got := s.Platform.Counts(); got.ParticipantTokens != before.ParticipantTokens+1 {
				t.Errorf("%d tokens, %d before the revocation", got.ParticipantTokens, before.ParticipantTokens)
			}
			// And so does this one, once the platform has opened it.
			s.Platform.Set(func(set *simulator.Settings) { set.UnauthorizedPaths = nil })
			alice.do(hammer(alice)).want(t, http.StatusOK, "")
			s.Platform.Revoke(stack.Alice.ID)
			if name != "streaming" {
				alice.do(hammer(alice)).want(t, http.StatusOK, "")
			}
		})
	}
}

// TestT38_ManyRoutes protects the issuer from one whose 401s no token cures on
// any of very many routes.
func TestT38_ManyRoutes(t *testing.T) {
	s := start(t, stack.Caddyfile)
	unlimited(s)
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
	u := signIn(t, s, "alice")
	for n := range 100 {
		u.get(customPath+strconv.Itoa(n)).want(t, http.StatusBadGateway, "upstream_unauthorized")
	}
	c := crowd{t: t}
	for n := range 100 {
		c.get(u, customPath+"at-once-"+strconv.Itoa(n), http.StatusBadGateway, "upstream_unauthorized", nil)
	}
	c.wait.Wait()
	if got := s.Platform.Counts(); got.ParticipantTokens > 5 {
		t.Errorf("%d tokens for 200 routes", got.ParticipantTokens)
	}
}

// TestT38_EverybodysUncured protects the issuer from an API that refuses
// everybody's tokens on a route, new ones too: after three people it is the
// route's own trouble, and the others' tokens are left alone.
func TestT38_EverybodysUncured(t *testing.T) {
	const route = customPath + "uncovered"
	participants := simulator.SampleParticipants(30)
	s := start(t, stack.Caddyfile, participants...)
	unlimited(s)
	s.Platform.Set(func(set *simulator.Settings) { set.UnauthorizedPaths = []string{strings.TrimPrefix(route, "/mdh")} })
	users := make([]*user, len(participants))
	for i, p := range participants {
		users[i] = signIn(t, s, p.Identifier)
		users[i].get(participantPath).want(t, http.StatusOK, "")
	}
	began := time.Now()
	for _, u := range users {
		u.get(route).want(t, http.StatusBadGateway, "upstream_unauthorized")
	}
	most := len(users) + 3 + int(time.Since(began)/(750*time.Millisecond)) // then one tries at a time
	if got := s.Platform.Counts(); got.ParticipantTokens > most {
		t.Errorf("%d tokens for %d people; want at most %d", got.ParticipantTokens, len(users), most)
	}
	// Elsewhere a revoked token is renewed as ever.
	s.Platform.Revoke(participants[9].ID)
	users[9].get(participantPath).want(t, http.StatusOK, "")
}

// TestT39_RapidReset protects against CVE-2023-44487: thousands of HTTP/2
// streams that are opened and reset at once. They have one token minted at
// most, and leave nothing behind.
func TestT39_RapidReset(t *testing.T) {
	// The mint is held for longer than it may take by default.
	s := start(t, encrypted(strings.Replace(unkept(proxied("", "")), "delegate {", "delegate {\n\t\ttokens {\n\t\t\ttimeout 1m\n\t\t}", 1)))
	base := fmt.Sprintf("https://localhost:%d", s.Port)
	alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
	for _, u := range []*user{alice, bob} {
		u.base = base
		u.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	}
	bob.get(participantPath).want(t, http.StatusOK, "")
	s.Platform.Reset()
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	release := hold(t, s, "token")
	const streams, together = 2500, 100
	for opened := 0; opened < streams; {
		opened += resetStreams(t, alice, streams-opened, together, func() { arrived(t, s, 1) })
		bob.get(participantPath).want(t, http.StatusOK, "")
	}
	// With the mint, for which nobody waits now, and connections that are kept
	// for the next use: at most 32 to a host, of three goroutines each.
	const kept = 100
	settle(t, goroutines+kept)
	release()
	await(t, "the end of the last call", func() bool { return s.Platform.Counts().InFlight == 0 })
	settle(t, goroutines+kept)
	// Connections that end take their time. A stream that left 4 KiB would be seen.
	await(t, "the memory of the streams", func() bool { return heapInUse()-heap < 8<<20 })
	if got := s.Platform.Counts(); got.TokenRequests != 1 || got.ParticipantTokens != 1 || got.Lookups != 1 {
		t.Errorf("%+v for %d streams that were reset", got, streams)
	}
	alice.get(participantPath).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 1 {
		t.Error("the token that was minted is not kept")
	}
}

// heapInUse is what is left on the heap after everything that can be freed.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resetStreams opens up to n streams on one connection, some together, and
// then resets them. It returns how many it could before the server closed the
// connection.
func resetStreams(t *testing.T, u *user, n, together int, between func()) int {
	t.Helper()
	at, err := url.Parse(u.base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", at.Host, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", http.MethodGet},
		{":scheme", "https"},
		{":authority", at.Host},
		{":path", participantPath},
		{"cookie", stack.CookieName + "=" + u.session},
	} {
		// Not indexed: so the same block serves every stream.
		_ = fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, nil)
	_ = framer.WriteSettings()
	for first := 0; first < n; first += together {
		for i := first; i < first+together; i++ {
			if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
				return i + 1
			}
		}
		between()
		for i := first; i < first+together; i++ {
			if err := framer.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel); err != nil {
				return i + 1
			}
		}
	}
	return n
}

// TestT40_UnknownUsers protects participants from users who are none: twenty
// thousand of them neither push a live user's token or lookup out, nor fill
// the memory, nor spend the quota by which a new participant is found.
func TestT40_UnknownUsers(t *testing.T) {
	const unknownUsers = 20_000
	participants := simulator.SampleParticipants(60)
	// The app believes whoever says who they are: sessions are not what is tested.
	s := newStack(t, participants...)
	s.App.Handle("/says", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Remote-User", r.Header.Get("X-User"))
	}))
	load(t, s, administered(strings.Replace(scoped(), "uri /auth", "uri /says", 1)))
	a, u := newAdmin(t, s), signIn(t, s, "")
	as := func(name string) *http.Request {
		req := u.request(http.MethodGet, participantPath, nil)
		req.Header.Set("X-User", name)
		return req
	}
	live, fresh := participants[:50], participants[50:]
	for _, p := range live {
		u.do(as(p.Identifier)).want(t, http.StatusOK, "")
	}
	before, heap := a.status("mydatahelps"), heapInUse()

	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := next.Add(1); n <= unknownUsers; n = next.Add(1) {
				got, err := u.try(as("stranger-" + strconv.FormatInt(n, 10)))
				// Where the quota must not be spent on it, nobody knows whether they are one.
				if err != nil || got.code() != "participant_unknown" && got.code() != "issuer_throttled" {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d unknown users were not refused as such", failed.Load())
	}
	counts := s.Platform.Counts()
	if used := counts.Admin; used > len(live)+300 || counts.Throttled > 0 {
		t.Errorf("%+v: %d requests of the hourly 1000 for unknown users", counts, used-len(live))
	}
	after := a.status("mydatahelps")
	if after.Entries != before.Entries || after.Remembered != before.Remembered || after.Issuer.State != "closed" {
		t.Errorf("status %+v, before %+v", after, before)
	}
	// Of ten thousand at most it is remembered, for half a minute, that they are
	// none: 3.4 MiB. All of them would take half as much again.
	if grown := heapInUse() - heap; grown > 17<<18 {
		t.Errorf("%d KiB are left of them", grown>>10)
	}
	for _, p := range live {
		got := u.do(as(p.Identifier))
		got.want(t, http.StatusOK, "")
		if got.Header.Get("X-Cache") != "hit" {
			t.Errorf("the token of %s was pushed out", p.Identifier)
		}
	}
	if got := s.Platform.Counts(); got.Admin != counts.Admin {
		t.Errorf("%d live users had to be looked up again", got.Admin-counts.Admin)
	}
	for _, p := range fresh {
		got := u.do(as(p.Identifier))
		got.want(t, http.StatusOK, "")
		if got.owner() != p.ID {
			t.Errorf("%s sees %q", p.Identifier, got.owner())
		}
	}
}
