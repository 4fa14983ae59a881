// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// machineConfig names the configuration of a process that is a Caddy alone.
const machineConfig = "INTEGRATION_MACHINE"

// TestMachineProcess is no test: this program is a Caddy of its own, as a child
// of a test that needs a machine with its own memory.
func TestMachineProcess(t *testing.T) {
	file := os.Getenv(machineConfig)
	if file == "" {
		t.Skip("it is run by other tests")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, err := stack.Adapt(string(text))
	if err == nil {
		err = caddy.Load(config, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("machine is ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
	_ = caddy.Stop()
}

// machine is a Caddy in a process of its own, before the stack's platform.
type machine struct {
	t         testing.TB
	s         *stack.Stack
	caddyfile string
	dir       string
	port      int
	cmd       *exec.Cmd
	client    *http.Client
	admin     *admin
}

func newMachine(t testing.TB, s *stack.Stack, caddyfile string) *machine {
	t.Helper()
	m := &machine{t: t, s: s, caddyfile: caddyfile, dir: t.TempDir()}
	jar, _ := cookiejar.New(nil)
	m.client = &http.Client{Jar: jar, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() { m.kill(); m.client.CloseIdleConnections() })
	m.start()
	return m
}

func (m *machine) start() {
	m.t.Helper()
	var err error
	if m.port, err = port.Free(); err != nil {
		m.t.Fatal(err)
	}
	socket := filepath.Join(m.dir, fmt.Sprintf("%d.sock", m.port))
	text := strings.NewReplacer("[[.Port]]", fmt.Sprint(m.port), "[[.Admin]]", socket, "[[.Storage]]", m.dir).Replace(m.caddyfile)
	if text, err = m.s.Render(text); err != nil {
		m.t.Fatal(err)
	}
	file := filepath.Join(m.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.cmd = exec.Command(os.Args[0], "-test.run=^TestMachineProcess$", "-test.timeout=0")
	m.cmd.Env = append(os.Environ(), machineConfig+"="+file, "XDG_DATA_HOME="+m.dir, "XDG_CONFIG_HOME="+m.dir, "HOME="+m.dir)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(m.dir, "log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.cmd.Stderr = log
	if _, err := m.cmd.StdinPipe(); err != nil {
		m.t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "machine is ready") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			m.admin = &admin{m.t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			}}}}
			return
		}
	}
	m.t.Fatalf("the machine does not start:\n%s", m.log())
}

func (m *machine) log() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
	return string(text)
}

func (m *machine) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

// restart has it begin anew, without what it had in memory.
func (m *machine) restart() {
	m.t.Helper()
	m.kill()
	m.client.CloseIdleConnections()
	m.start()
}

// shares waits until it uses Redis.
func (m *machine) shares() {
	m.t.Helper()
	eventually(m.t, "Redis is in use", func() bool { up, _ := m.admin.shared(); return up })
}

// status is the status of an answer to a request with a session.
func (m *machine) status(method, path, session string) int {
	req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", m.port, path), nil)
	if err != nil {
		m.t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+session)
	res, err := m.client.Do(req)
	if err != nil {
		m.t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

func (m *machine) get(session string) int { return m.status(http.MethodGet, participantPath, session) }

// want checks whether a session is good.
func (m *machine) want(what, session string, status int) {
	m.t.Helper()
	if got := m.get(session); got != status {
		m.t.Errorf("%s: %d, want %d", what, got, status)
	}
}

// ends waits until a session is not good any longer.
func (m *machine) ends(what, session string) {
	m.t.Helper()
	eventually(m.t, what, func() bool { return m.get(session) == http.StatusUnauthorized })
}

func (m *machine) signOut(session string) {
	m.t.Helper()
	if got := m.status(http.MethodPost, "/logout", session); got != http.StatusOK {
		m.t.Fatalf("sign-out: %d", got)
	}
}

// heap is what its memory holds after a collection.
func (m *machine) heap() (bytes int64) {
	m.t.Helper()
	for range 2 {
		m.admin.send(http.MethodGet, "/debug/pprof/heap?gc=1", "")
	}
	text := m.admin.send(http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "").body
	if _, rest, ok := strings.Cut(text, "# HeapAlloc = "); ok {
		_, _ = fmt.Sscan(rest, &bytes)
	}
	if bytes == 0 {
		m.t.Fatal("the heap is not told")
	}
	return bytes
}

// fleetOf is two machines with a login before them, and their Redis.
func fleetOf(t testing.TB) (l *login, r *redisServer, a, b *machine) {
	t.Helper()
	l, s, r := newLogin(t), newStack(t), newRedis(t)
	_, lines := sharingLines(t, s, r)
	caddyfile := administered(l.caddyfile(lines))
	a, b = newMachine(t, s, caddyfile), newMachine(t, s, caddyfile)
	a.shares()
	b.shares()
	return l, r, a, b
}

// do speaks to Redis in its own words, as whoever can reach it may.
func (r *redisServer) do(args ...string) string {
	r.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", fmt.Sprint(r.port)}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %v %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *redisServer) keys(kind string) []string {
	return strings.Fields(r.do("KEYS", "delegate:*:"+kind))
}

// writes is how many commands have written since the last RESETSTAT.
func (r *redisServer) writes() (n int) {
	r.t.Helper()
	for line := range strings.SplitSeq(r.do("INFO", "commandstats"), "\n") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		switch name {
		case "eval", "evalsha", "xadd", "set":
			var calls int
			_, _ = fmt.Sscan(strings.Split(rest, ",")[0], &calls)
			n += calls
		}
	}
	return n
}

// ago is the claims of a session that was issued a while ago.
func ago(d time.Duration) map[string]any { return map[string]any{"iat": time.Now().Add(-d).Unix()} }
