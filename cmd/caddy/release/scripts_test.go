// SPDX-License-Identifier: Apache-2.0

package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packageScripts runs the scripts of the package for a root in a folder, with a
// systemctl and a deb-systemd-helper that note what they are asked.
type packageScripts struct {
	t                 *testing.T
	root, path, asked string
}

func newPackageScripts(t *testing.T) packageScripts {
	t.Helper()
	folder := t.TempDir()
	s := packageScripts{t, filepath.Join(folder, "root"), filepath.Join(folder, "bin"), filepath.Join(folder, "asked")}
	for _, made := range []string{filepath.Join(s.root, "run/systemd/system"), s.path} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{"getent": "", "install": "", "dpkg-query": "echo config-files", "systemctl": `echo "$*" >>"` + s.asked + `"`, "deb-systemd-helper": `echo "helper $*" >>"` + s.asked + `"`} {
		if err := os.WriteFile(filepath.Join(s.path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// run runs a script, and returns what it has asked, on a line each.
func (s packageScripts) run(script string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "DPKG_ROOT="+s.root, "PATH="+s.path+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %q: %v\n%s", script, args, err, out)
	}
	if script == "postinstall.sh" && !strings.Contains(string(out), "do not purge the package caddy") {
		s.t.Errorf("nothing warns of what the former package's scripts delete: %s", out)
	}
	asked, err := os.ReadFile(s.asked)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	_ = os.Remove(s.asked)
	return strings.TrimSpace(string(asked))
}

// TestScripts protects operators from a service that is down after an installation: also
// where another package of Caddy was replaced, whose scripts mask it, and where this one
// was removed before, so that dpkg names its version as at an upgrade. An upgrade starts
// nothing that was stopped. Who has replaced another package is warned of purging it.
func TestScripts(t *testing.T) {
	s := newPackageScripts(t)
	const unmask, started = "helper unmask caddy.service\ndaemon-reload\n", "enable --now caddy.service"
	for _, step := range []struct{ script, args, want string }{
		{"preinstall.sh", "install", ""},
		{"postinstall.sh", "configure", unmask + started},
		{"preinstall.sh", "upgrade 1.0.0 1.1.0", ""},
		{"preremove.sh", "upgrade 1.1.0", ""},
		{"postremove.sh", "upgrade 1.1.0", "daemon-reload"},
		{"postinstall.sh", "configure 1.0.0", unmask + "try-restart caddy.service"},
		{"preremove.sh", "remove", "disable --now caddy.service"},
		{"postremove.sh", "remove", "daemon-reload"},
		{"preinstall.sh", "install 1.1.0 1.2.0", ""},
		{"postinstall.sh", "configure 1.1.0", unmask + started},
		{"postinstall.sh", "configure 1.2.0", unmask + "try-restart caddy.service"},
	} {
		if got := s.run(step.script, strings.Fields(step.args)...); got != step.want {
			t.Errorf("%s %s asks %q, and not %q", step.script, step.args, got, step.want)
		}
	}
	if !strings.Contains(read(t, "nfpm.yaml"), "preinstall: cmd/caddy/release/preinstall.sh") {
		t.Error("the package does not have preinstall.sh")
	}
}
