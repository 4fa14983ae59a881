// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestReloadsUnderLoad protects operators who reload: no request fails that
// stock Caddy would have served, the cache stays warm, nothing piles up.
func TestReloadsUnderLoad(t *testing.T) {
	const reloads = 100
	// A request that is still draining when its configuration is cleaned up
	// leaves an idle connection behind, in stock Caddy as here. They are not to
	// stay for the two minutes that are the default.
	const keepalive = "\n\t\t\ttransport http {\n\t\t\t\tkeepalive 1s\n\t\t\t}\n"
	caddyfile := strings.NewReplacer(
		"handle {", "handle /stock/* {\n\t\treverse_proxy [[.AppAddr]] {"+keepalive+"\t\t}\n\t}\n\thandle {",
		"uri /auth", "uri /auth"+keepalive,
		"delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {"+keepalive,
	).Replace(stack.Caddyfile)
	s := start(t, caddyfile)
	// The stock site has no forward_auth: with it, Caddy's own data race (see
	// withOwnVars) would show here. Its app takes as long as one round trip more.
	s.App.Handle("/stock/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+s.AppAddr+"/auth", nil)
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}))
	s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 0 })
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	goroutines := runtime.NumGoroutine()

	// Between two servers on one port the kernel resets some connections. That
	// is counted for both sites, which take about as long; an answer other than 200 is ours.
	var reset, refused, served [2]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, path := range []string{echoPath, "/stock/"} {
		for range 2 {
			wg.Go(func() {
				for ctx.Err() == nil {
					res, err := u.client.Do(u.request(http.MethodGet, path, nil).WithContext(ctx))
					if errors.Is(err, context.Canceled) {
						return
					}
					if err != nil {
						reset[i].Add(1)
						continue
					}
					_, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					switch {
					case ctx.Err() != nil:
					case res.StatusCode != http.StatusOK:
						refused[i].Add(1)
					case err != nil:
						reset[i].Add(1)
					default:
						served[i].Add(1)
					}
				}
			})
		}
	}
	for range reloads {
		if err := s.Reload(caddyfile); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()

	for i, name := range []string{"delegate_proxy", "stock reverse_proxy"} {
		t.Logf("%d reloads, %s: %d served, %d refused, %d connections reset", reloads, name, served[i].Load(), refused[i].Load(), reset[i].Load())
	}
	if refused[0].Load() > refused[1].Load() {
		t.Errorf("%d requests were refused, %d of stock Caddy", refused[0].Load(), refused[1].Load())
	}
	// Resets are chance: as many as stock Caddy's, give or take.
	if ours, stock := reset[0].Load(), reset[1].Load(); ours > 2*stock+20 {
		t.Errorf("%d connections were reset, %d of stock Caddy", ours, stock)
	}
	if served[0].Load() == 0 {
		t.Error("no request was served during the reloads")
	}
	if c := s.Platform.Counts(); c.ParticipantTokens != 1 || c.ServiceTokens != 1 || c.Lookups != 1 {
		t.Errorf("%+v; want the one token of the start", c)
	}
	u.client.CloseIdleConnections()
	settle(t, goroutines+10)
}

// settle waits until no more than limit goroutines are left.
func settle(t *testing.T, limit int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > limit {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left, want at most %d:\n%s", runtime.NumGoroutine(), limit, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// TestFailedReloadKeepsServing protects operators from a typo: the running
// configuration goes on, warm, and its state is not let go of.
func TestFailedReloadKeepsServing(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	for name, broken := range map[string]string{
		"key is gone":      strings.Replace(stack.Caddyfile, "{file.[[.KeyFile]]}", "{file.[[.Dir]]/absent.pem}", 1),
		"after the engine": strings.Replace(stack.Caddyfile, "delegate_proxy mydatahelps {", "delegate_proxy mydatahelps {\n\t\t\tallow GET /x Unknown:scope", 1),
	} {
		for range 3 {
			if err := s.Load(broken); err == nil {
				t.Fatalf("%s: loaded", name)
			}
		}
		u.get(participantPath).want(t, http.StatusOK, "")
	}
	load(t, s, stack.Caddyfile)
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 1 || c.Lookups != 1 {
		t.Errorf("%+v; want the one token of the start", c)
	}
}
