// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

// TestMain protects whoever reloads from goroutines that stay behind: every
// test closes what it opens, and nothing may be left.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real Redis on loopback.
type server struct {
	t       testing.TB
	dir     string
	port    int
	flags   []string
	process *os.Process
	exited  chan struct{}
	admin   *redis.Client
}

// serve starts a Redis without persistence. Flags are redis-server's.
func serve(t testing.TB, flags ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), flags: flags}
	t.Cleanup(s.kill)
	// Somebody else may take the port between our asking and Redis' listening.
	for range 5 {
		s.port = freePort(t)
		if s.start() {
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	number, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func (s *server) url() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.port) }

// start starts the server again on the same port.
func (s *server) start() bool {
	s.t.Helper()
	args := append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning",
		"--unixsocket", "r.sock",
	}, s.flags...)
	command := exec.Command("redis-server", args...)
	if len(s.flags) > 0 && strings.HasSuffix(s.flags[0], ".conf") {
		command = exec.Command("redis-server", s.flags...)
	}
	command.Dir = s.dir
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = command.Wait(); close(exited) }()
	s.process, s.exited = command.Process, exited
	s.admin = redis.NewClient(&redis.Options{Network: "unix", Addr: filepath.Join(s.dir, "r.sock")})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-exited:
			return false
		default:
		}
		if _, err := os.Stat(filepath.Join(s.dir, "r.sock")); err != nil {
			continue
		}
		err := s.admin.Ping(context.Background()).Err()
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") {
			return true
		}
	}
	return false
}

// signal sends a signal. A server that is to stop has stopped: until then, on a busy
// machine, it still answers.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	if sig == syscall.SIGSTOP {
		until(s.t, 5*time.Second, "the server has stopped", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Pid))
			return err != nil || strings.Contains(string(stat), ") T ") // no /proc on other systems
		})
	}
}

func (s *server) kill() {
	if s.process == nil {
		return
	}
	_ = s.admin.Close()
	_ = s.process.Kill()
	<-s.exited
	s.process = nil
}

// do runs an administrator's command.
func (s *server) do(args ...any) string {
	s.t.Helper()
	answer, err := s.admin.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return fmt.Sprint(answer)
}

// keys are those of one kind.
func (s *server) keys(kind string) []string {
	s.t.Helper()
	keys, err := s.admin.Keys(context.Background(), "delegate:*:"+kind).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// until waits for what happens by itself.
func until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// network is the way of one machine to a server, which can be cut.
type network struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	conns []net.Conn
	work  sync.WaitGroup
}

func relay(t testing.TB, s *server) *network {
	t.Helper()
	n := &network{target: fmt.Sprintf("127.0.0.1:%d", s.port)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.listener, n.open = l, true
	n.work.Go(n.accept)
	t.Cleanup(func() {
		_ = l.Close()
		n.cut()
		n.work.Wait()
	})
	return n
}

func (n *network) url() string { return "redis://" + n.listener.Addr().String() }

func (n *network) accept() {
	for {
		in, err := n.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", n.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		n.mu.Lock()
		if !n.open {
			_ = in.Close()
			_ = out.Close()
		}
		n.conns = append(n.conns, in, out)
		n.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			n.work.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
				_ = way[1].Close()
			})
		}
	}
}

// cut ends all connections and lets no new one through.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = false
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

func (n *network) mend(t testing.TB) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = true
}
