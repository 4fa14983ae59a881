// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// clockedRedis is a Redis as seen through a proxy that shifts what TIME says:
// one that failed over to a machine with another clock.
type clockedRedis struct {
	addr  string
	shift atomic.Int64 // seconds
	told  atomic.Int64 // how often it has told the time
}

var timeReply = regexp.MustCompile(`\*2\r\n\$10\r\n(\d{10})\r\n\$(\d)\r\n`)

func clocked(t testing.TB, r *redisServer) *clockedRedis {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	c := &clockedRedis{addr: ln.Addr().String()}
	go func() {
		for {
			down, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(r.port))
			if err != nil {
				_ = down.Close()
				continue
			}
			go func() { _, _ = io.Copy(up, down); _ = up.Close(); _ = down.Close() }()
			go func() { c.answer(down, up); _ = up.Close(); _ = down.Close() }()
		}
	}()
	return c
}

func (c *clockedRedis) answer(down io.Writer, up io.Reader) {
	for buf := make([]byte, 64<<10); ; {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		shift, told := c.shift.Load(), false
		out := timeReply.ReplaceAllFunc(buf[:n], func(m []byte) []byte {
			at, _ := strconv.ParseInt(string(m[9:19]), 10, 64)
			copy(m[9:19], strconv.FormatInt(at+shift, 10))
			told = true
			return m
		})
		if _, err := down.Write(out); err != nil {
			return
		}
		if told {
			c.told.Add(1)
		}
	}
}

// jump shifts the clock, and returns when it was read.
func (c *clockedRedis) jump(t testing.TB, by time.Duration) {
	t.Helper()
	c.shift.Store(int64(by / time.Second))
	told := c.told.Load()
	eventually(t, "the clock is read", func() bool { return c.told.Load() >= told+3 })
}

// clockedMachine is one that shares such a Redis.
func clockedMachine(t *testing.T, ahead time.Duration) (*login, *clockedRedis, *machine) {
	t.Helper()
	l, s, r := newLogin(t), newStack(t), newRedis(t)
	c := clocked(t, r)
	c.shift.Store(int64(ahead / time.Second))
	_, lines := sharingLines(t, s, r)
	m := newMachine(t, s, administered(l.caddyfile(strings.Replace(lines, r.url(), "redis://"+c.addr+"/0", 1))))
	m.shares()
	return l, c, m
}

// TestClock_Jumps protects who signs out while Redis fails over to a machine
// whose clock is wrong: they are out, and can sign in anew.
func TestClock_Jumps(t *testing.T) {
	for _, by := range []time.Duration{-20 * time.Second, 20 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			l, c, m := clockedMachine(t, 0)
			alice, laptop := l.session("alice", ago(2*time.Second)), l.session("alice", map[string]any{"iat": ago(3 * time.Second)["iat"], "x": 1})
			m.want("before", alice, http.StatusOK)
			c.jump(t, by)
			m.signOut(alice)
			m.want("the session that signed out", alice, http.StatusUnauthorized)
			m.want("another from before", laptop, http.StatusUnauthorized)
			m.want("signed in anew", l.session("alice", ago(-2*time.Second)), http.StatusOK)
		})
	}
}

// TestClock_RefusedLoad protects the one clock of all machines from a
// configuration that is refused: this machine's clock is 10 s behind.
func TestClock_RefusedLoad(t *testing.T) {
	const ahead = 10 * time.Second // are Redis and the issuer
	l, c, m := clockedMachine(t, ahead)
	at := func(x int) map[string]any {
		return map[string]any{"iat": time.Now().Add(ahead - 5*time.Second).Unix(), "x": x}
	}
	phone, laptop := l.session("alice", at(1)), l.session("alice", at(2))
	m.want("phone", phone, http.StatusOK)
	text, err := os.ReadFile(filepath.Join(m.dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.NewReplacer(c.addr, "127.0.0.1:1", "{file."+m.s.KeyFile+"}", "{file."+m.s.Dir+"/none.pem}").Replace(string(text))
	config, err := stack.Adapt(bad)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.admin.send(http.MethodPost, "/load", string(config)); got.StatusCode == http.StatusOK {
		t.Fatal("it loads")
	}
	m.signOut(phone)
	m.want("a session with an older iat that was not seen here", laptop, http.StatusUnauthorized)
}

// TestClock_IssuerAhead protects whom an issuer signs out whose clock is ahead:
// a session ends that was issued before, by that clock, and was not seen here.
func TestClock_IssuerAhead(t *testing.T) {
	l, s := newLogin(t), newStack(t)
	m := newMachine(t, s, administered(l.caddyfile("")))
	ahead := func(d time.Duration) int64 { return time.Now().Add(20*time.Second + d).Unix() }
	for user, sid := range map[string]any{"alice": nil, "bob": "other"} {
		stolen := l.session(user, map[string]any{"iat": ahead(-10 * time.Second)})
		told := map[string]any{
			"iss": l.URL, "aud": "app", "iat": ahead(0), "exp": ahead(time.Minute), "jti": rand.Text(), "sub": user,
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		if sid != nil {
			told["sid"] = sid
		}
		res, err := m.client.PostForm("http://127.0.0.1:"+strconv.Itoa(m.port)+"/backchannel", url.Values{"logout_token": {l.sign(told)}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
		m.want(user+": from before the logout", stolen, http.StatusUnauthorized)
		m.want(user+": signed in anew", l.session(user, map[string]any{"iat": ahead(time.Second)}), http.StatusOK)
	}
}
