// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestContainer protects who runs the image: it is built from its Dockerfile, holds
// nothing but what it needs, and serves a user as the shipped Caddyfile says, as its own
// user and with a read-only root, with secrets as Kubernetes mounts them, beside a real
// PostgreSQL and Redis.
func TestContainer(t *testing.T) {
	if slowdown > 1 || exec.Command("unshare", "--mount", "true").Run() != nil {
		t.Skip("it takes the right to mount; and the program in the image has no race detector")
	}
	b := newBuilder(t)
	root, config := b.build(), b.config()
	holdsOnly(t, root)

	l, redis := newLogin(t), newRedis(t)
	s := newStack(t)
	_, _ = postgresGrants(t)
	ports := map[string]int{}
	for _, name := range []string{":8080", ":2020", "admin"} {
		free, err := port.Free()
		if err != nil {
			t.Fatal(err)
		}
		ports[name] = free
	}
	shipped, err := os.ReadFile(filepath.Join(root, "etc/caddy/Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
	write(t, caddyfile, strings.NewReplacer(":8080", fmt.Sprint(":", ports[":8080"]), ":2020", fmt.Sprint(":", ports[":2020"])).Replace(string(shipped)))
	if err := os.Chmod(caddyfile, 0o644); err != nil {
		t.Fatal(err)
	}
	mounts := map[string]string{"/etc/caddy/Caddyfile": caddyfile, "/run/secrets": secretsFolder(t, s, config.User, redis.url())}
	env := []string{
		"MDH_BASE_URL=" + s.PlatformURL, "MDH_PROJECT_ID=" + stack.Project, "MDH_SERVICE_ACCOUNT=" + stack.Account,
		"SESSION_JWKS=" + l.URL + "/jwks", "SESSION_ISSUER=" + l.URL, "SESSION_AUDIENCE=app", "APP_ADDRESS=" + s.AppAddr,
		fmt.Sprint("CADDY_ADMIN=127.0.0.1:", ports["admin"]),
	}
	caddy := config.confined(root, mounts, env, append(config.Entrypoint, config.Cmd...)...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	caddy.Stderr = log
	caddy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := caddy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Process.Kill(); _ = caddy.Wait() })
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Log(string(text))
		}
	})
	get := func(port int, path, session string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if session != "" {
			req.Header.Set("Cookie", "__Host-session="+session)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	eventually(t, "the probe answers", func() bool { status, _ := get(ports[":2020"], "/healthz", ""); return status == http.StatusOK })
	if status, body := get(ports[":8080"], participantPath, l.session("alice", nil)); status != http.StatusOK || !strings.Contains(body, stack.Alice.ID) {
		t.Errorf("alice: %d %s", status, body)
	}
	if status, body := get(ports[":8080"], participantPath, ""); status != http.StatusUnauthorized {
		t.Errorf("nobody: %d %s", status, body)
	}
	if status, body := get(ports[":2020"], "/metrics", ""); status != http.StatusOK || !strings.Contains(body, "caddy_delegate_") {
		t.Errorf("metrics: %d", status)
	}
	if len(config.Healthcheck.Test) < 2 || config.Healthcheck.Test[0] != "CMD" {
		t.Fatalf("health check: %q", config.Healthcheck.Test)
	}
	healthy := func() (string, error) {
		out, err := config.confined(root, mounts, env, config.Healthcheck.Test[1:]...).CombinedOutput()
		return string(out), err
	}
	if out, err := healthy(); err != nil {
		t.Errorf("the health check of a Caddy that serves: %v\n%s", err, out)
	}
	if err := caddy.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Wait(); err != nil {
		t.Errorf("at SIGTERM: %v", err)
	}
	if out, err := healthy(); err == nil {
		t.Errorf("the health check of a Caddy that has ended: %s", out)
	}
}

// holdsOnly fails if the image has a file that no request needs, such as a shell.
func holdsOnly(t *testing.T, root string) {
	t.Helper()
	want := []string{"etc/caddy/Caddyfile", "etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/bin/caddy"}
	var got []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			got = append(got, name)
		}
		return err
	})
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%v: the image holds %q", err, got)
	}
	if version := output(t, filepath.Join(root, "usr/bin/caddy"), "version"); !strings.HasPrefix(version, "v0.0.0-test") {
		t.Errorf("the version is %q", version)
	}
}

// secretsFolder holds the secrets of the shipped Caddyfile, as Kubernetes mounts them:
// they belong to root, and the group of the container's user can read them.
func secretsFolder(t *testing.T, s *stack.Stack, user, redis string) string {
	t.Helper()
	folder := t.TempDir()
	key, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(newKeyset(t))
	if err != nil {
		t.Fatal(err)
	}
	var id int
	if _, err := fmt.Sscanf(user, "%d:", &id); err != nil || id == 0 {
		t.Fatalf("the user is %q: %v", user, err)
	}
	for name, secret := range map[string]string{"mydatahelps": string(key), "keyset": string(keys), "redis_url": redis, "database_url": os.Getenv("DATABASE")} {
		file := filepath.Join(folder, name)
		write(t, file, secret)
		if err := os.Chown(file, 0, id); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o440); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}
