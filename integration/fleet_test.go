// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// redisServer is a real Redis on loopback.
type redisServer struct {
	t    testing.TB
	dir  string
	port int
	cmd  *exec.Cmd
}

func newRedis(t testing.TB) *redisServer {
	t.Helper()
	port, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{t: t, dir: t.TempDir(), port: port}
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// start starts it on its port, empty.
func (r *redisServer) start() {
	r.t.Helper()
	r.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(r.port), "--dir", r.dir, "--save", "", "--appendonly", "no")
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "Redis listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// eventually waits for something that other processes do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, done)
}

// within is eventually with another bound.
func within(t testing.TB, bound time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(bound)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// sharing writes a keyset and returns it with a Caddyfile that shares tokens.
func sharing(t testing.TB, s *stack.Stack, r *redisServer) (*keyset.Keyset, string) {
	t.Helper()
	keys, lines := sharingLines(t, s, r)
	return keys, administered(strings.Replace(stack.Caddyfile, "delegate {", "delegate {"+lines, 1))
}

// sharingLines are the options alone.
func sharingLines(t testing.TB, s *stack.Stack, r *redisServer) (*keyset.Keyset, string) {
	t.Helper()
	keys, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir, "keyset.json")
	if err := keys.Create(file); err != nil {
		t.Fatal(err)
	}
	return keys, "\n\t\tcache redis " + r.url() + "\n\t\tkeyset {file." + file + "}\n"
}

// shared is what the status says of the shared level.
func (a *admin) shared() (up bool, pending int) {
	a.t.Helper()
	var status struct {
		Providers map[string]struct {
			Shared struct {
				Up      bool `json:"up"`
				Pending int  `json:"pending_purges"`
			} `json:"shared"`
		} `json:"providers"`
	}
	if err := json.Unmarshal([]byte(a.send(http.MethodGet, "/delegate/status", "").body), &status); err != nil {
		a.t.Fatal(err)
	}
	s := status.Providers["mydatahelps"].Shared
	return s.Up, s.Pending
}

// TestTokensAreShared protects the issuer from every machine of a fleet, and
// from a Caddy that starts anew: what one has minted, the next one uses. The
// operator's purge reaches the others, and theirs reaches it.
func TestTokensAreShared(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	keys, caddyfile := sharing(t, s, r)
	load(t, s, caddyfile)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	if err := s.Restart(caddyfile); err != nil {
		t.Fatal(err)
	}
	a := newAdmin(t, s)
	eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 1 || c.ServiceTokens != 1 {
		t.Errorf("%+v; want the tokens that were minted first", c)
	}

	// Another machine.
	f, err := fleet.Open(fleet.Options{URL: r.url(), Sealer: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dropped := make(chan delegation.Selection, 1)
	other := f.Join("mydatahelps", func(s delegation.Selection, _ time.Time) { dropped <- s })
	f.Start()
	eventually(t, "the other machine is connected", f.Up)
	if err := other.Purge(t.Context(), delegation.Selection{Realm: "default", Subject: "alice"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its purge is here", func() bool {
		u.get(participantPath).want(t, http.StatusOK, "")
		return s.Platform.Counts().ParticipantTokens == 2
	})
	a.purge(`{"participant":"`+stack.Alice.ID+`"}`, `"mydatahelps"`)
	select {
	case got := <-dropped:
		if got != (delegation.Selection{Participant: stack.Alice.ID}) {
			t.Errorf("the other machine was told %+v", got)
		}
	case <-time.After(30 * time.Second):
		t.Error("our purge did not reach the other machine")
	}
}

// TestRedisGoesAndComes protects every request from Redis: it goes down, and
// comes back empty, while users work. A purge meanwhile says that it is not
// complete, and is made up for.
func TestRedisGoesAndComes(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	_, caddyfile := sharing(t, s, r)
	load(t, s, caddyfile)
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
	u.get(participantPath).want(t, http.StatusOK, "")

	r.kill()
	eventually(t, "Redis is missed", func() bool {
		u.get(participantPath).want(t, http.StatusOK, "")
		up, _ := a.shared()
		return !up
	})
	signIn(t, s, "bob").get(participantPath).want(t, http.StatusOK, "")
	got := a.send(http.MethodPost, "/delegate/purge", `{"realm":"default","subject":"alice"}`)
	if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got.body, `"code":"purge_incomplete"`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if up, pending := a.shared(); up || pending != 1 {
		t.Errorf("up %t, %d purges pending", up, pending)
	}
	before := s.Platform.Counts().ParticipantTokens
	u.get(participantPath).want(t, http.StatusOK, "")
	if s.Platform.Counts().ParticipantTokens != before+1 {
		t.Error("the purge was not even done here")
	}

	r.start()
	eventually(t, "Redis is in use again and the purge told", func() bool {
		u.get(participantPath).want(t, http.StatusOK, "")
		up, pending := a.shared()
		return up && pending == 0
	})
}

// TestCacheDoesNotLoad protects operators from a cache that is not the one
// they mean: tokens must be sealed, and a URL's password is nobody's business.
func TestCacheDoesNotLoad(t *testing.T) {
	s := newStack(t)
	keys, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir, "keyset.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ lines, want string }{
		"no keyset":         {"cache redis redis://127.0.0.1:1", "keyset"},
		"damaged keyset":    {"cache redis redis://127.0.0.1:1\nkeyset {file." + s.KeyFile + "}", "keyset"},
		"missing keyset":    {"cache redis redis://127.0.0.1:1\nkeyset {file." + s.Dir + "/none}", "none"},
		"bad URL":           {"cache redis http://:planted@127.0.0.1:1\nkeyset {file." + file + "}", "cache"},
		"missing authority": {"cache redis rediss://127.0.0.1:1 {\nca_file " + s.Dir + "/none\n}\nkeyset {file." + file + "}", "ca_file"},
		"hmac, no keyset":   {"log_subject hmac", "keyset"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Load(strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n"+c.lines+"\n", 1))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Errorf("%v; want an error about %s", err, c.want)
			}
		})
	}
}
