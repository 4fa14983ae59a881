// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// basicAuth signs in alice, bob and mallory, whose password is secret.
const basicAuth = `	basic_auth {
		alice   $2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK
		bob     $2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK
		mallory $2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK
	}`

var projectImport = regexp.MustCompile(`"(github.com/caddy-delegate/[^"]*)"`)

// buildExternal builds somebody else's Caddy: a module apart, example.org/caddy-notes,
// with a provider in the package of that name. The provider imports package
// delegation alone of this project.
func buildExternal(t *testing.T, name, provider, program string) (file string) {
	t.Helper()
	for _, path := range projectImport.FindAllStringSubmatch(provider, -1) {
		if !strings.HasSuffix(path[1], "/caddymodule/delegation") {
			t.Errorf("it imports %s", path[1])
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The same versions as here, so that nothing has to be looked for.
	module := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(readFile(t, filepath.Join(root, "go.mod")), "module example.org/caddy-"+name)
	write(t, filepath.Join(dir, "go.mod"), module+
		"\nrequire github.com/caddy-delegate/caddy-delegate v0.0.0\nreplace github.com/caddy-delegate/caddy-delegate => "+root+"\n")
	write(t, filepath.Join(dir, "go.sum"), readFile(t, filepath.Join(root, "go.sum")))
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name, name+".go"), provider)
	write(t, filepath.Join(dir, "main.go"), program)
	file = filepath.Join(dir, "caddy")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GONOSUMDB=*", "GONOSUMCHECK=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// runExternal runs it until the test ends, and returns the file of its log.
func runExternal(t *testing.T, program, caddyfile string, env ...string) (log string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "run", "--config", write(t, filepath.Join(t.TempDir(), "Caddyfile"), caddyfile))
	cmd.Env = append(append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir()), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	return out.Name()
}
