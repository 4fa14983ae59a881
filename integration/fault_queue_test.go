// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// judged is an app that is asked about its sessions.
type judged struct {
	*stack.Stack
	asked atomic.Int64
	delay atomic.Int64 // of the answers
}

func newJudged(t testing.TB) *judged {
	t.Helper()
	j := &judged{Stack: newStack(t)}
	j.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.asked.Add(1)
		_, name := j.App.Session(r)
		time.Sleep(time.Duration(j.delay.Load()))
		if name == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"sub": name})
	}))
	return j
}

// judgedCaddyfile has the app asked; each answer counts for a moment.
const judgedCaddyfile = `
	app_session {
		cookie ` + stack.CookieName + `
		session_endpoint http://[[.AppAddr]]/api/me {
			cache 100ms
		}
		http {
			timeout 2s
		}
	}
	respond "{http.auth.user.id}"`

// from has a user's requests come from an address of this machine.
func (u *user) from(address string) *user {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableCompression: true}
	u.t.Cleanup(transport.CloseIdleConnections)
	u.client.Transport = transport
	return u
}

// TestAc_SignInsBesideForgeries protects who signs in now from 900 forged
// sessions that wait to be asked about, each answer taking 300 ms: they come
// from one address, from many, or from that of those who sign in.
func TestAc_SignInsBesideForgeries(t *testing.T) {
	const forgeries, signIns = 900, 40
	for name, addresses := range map[string]func(n int) (forged, honest string){
		"one address":       func(n int) (string, string) { return "127.0.0.2", fmt.Sprint("127.0.1.", 1+n%250) },
		"thirty addresses":  func(n int) (string, string) { return fmt.Sprint("127.0.2.", 1+n%30), fmt.Sprint("127.0.1.", 1+n%250) },
		"their own address": func(int) (string, string) { return "127.0.0.1", "127.0.0.1" },
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudged(t)
			load(t, j.Stack, caddyfileOf("", judgedCaddyfile))
			j.delay.Store(int64(300 * time.Millisecond))
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer func() { cancel(); all.Wait() }()
			var sent atomic.Int64
			trace := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent.Add(1) }})
			forgers := make(map[string]*user)
			for n := range forgeries {
				address, _ := addresses(n)
				u := forgers[address]
				if u == nil {
					u = signIn(t, j.Stack, "nobody").from(address)
					forgers[address] = u
				}
				req := u.request(http.MethodGet, "/", nil).WithContext(trace)
				req.Header.Set("Cookie", fmt.Sprint("session=forged-", n))
				all.Go(func() { _, _ = u.try(req) })
			}
			await(t, "the forgeries", func() bool { return sent.Load() == forgeries && j.asked.Load() >= 60 })
			var failed atomic.Int64
			var honest sync.WaitGroup
			for n := range signIns {
				_, address := addresses(n)
				u := signIn(t, j.Stack, fmt.Sprint("person-", n)).from(address)
				req := u.request(http.MethodGet, "/", nil)
				honest.Go(func() {
					if got, err := u.try(req); err != nil || got.StatusCode != http.StatusOK {
						failed.Add(1)
					}
				})
			}
			honest.Wait()
			if n := failed.Load(); n > 0 {
				t.Errorf("%d of %d were refused", n, signIns)
			}
		})
	}
}
