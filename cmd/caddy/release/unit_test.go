// SPDX-License-Identifier: Apache-2.0

// Package release is tested here: the files that a release is built from, and the
// Debian package where there is one.
package release

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unit is a unit of systemd: the values of each setting of its section Service, in
// their order.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u, section := unit{}, ""
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Service]" && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUnit protects operators: the folder of the secrets is the one that the package
// makes for root alone and the page names, and what would undo the sandbox or write
// secrets to the journal is not in the unit.
func TestUnit(t *testing.T) {
	u := readUnit(t, "caddy.service")
	for key, want := range map[string]string{
		"Type": "notify", "User": "caddy", "LoadCredential": "secret:/etc/caddy/credentials",
		"ProtectSystem": "strict", "NoNewPrivileges": "yes", "PrivateTmp": "yes", "UMask": "0077",
		"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "AmbientCapabilities": "CAP_NET_BIND_SERVICE",
	} {
		if !slices.Equal(u[key], []string{want}) {
			t.Errorf("%s is %q, and not %q", key, u[key], want)
		}
	}
	for _, key := range []string{"ReadWritePaths", "Environment", "ProcSubset"} {
		if u[key] != nil {
			t.Errorf("the unit has %s=%s", key, u[key])
		}
	}
	if command := strings.Join(u["ExecStart"], " "); strings.Contains(command, "--environ") {
		t.Errorf("%q writes the environment to the journal", command)
	}
	if !strings.Contains(read(t, "nfpm.yaml"), "{dst: /etc/caddy/credentials, type: dir, file_info: {mode: 0700}}") {
		t.Error("the package does not make /etc/caddy/credentials for root alone")
	}
	if !strings.Contains(read(t, "nfpm.yaml"), "dst: /etc/caddy/Caddyfile, type: config|noreplace, file_info: {mode: 0644}}") {
		t.Error("the service may not read its Caddyfile, if the checkout's files are for their owner alone")
	}
	page := read(t, "../../../caddymodule/docs/install.md")
	for _, want := range []string{"/etc/caddy/credentials/", "/run/credentials/caddy.service/secret_mydatahelps.pem"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page on installing does not have %s", want)
		}
	}
}

// TestUnitExposure protects the figure on the page: systemd's own rating of the unit.
func TestUnitExposure(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze on this machine")
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "caddy.service").CombinedOutput()
	rating := regexp.MustCompile(`Overall exposure level for caddy.service: (\d+\.\d)`).FindSubmatch(out)
	if err != nil || rating == nil {
		t.Skipf("systemd-analyze cannot rate files here: %v\n%s", err, out)
	}
	if got := string(rating[1]); got > "1.6" {
		t.Errorf("systemd rates the unit %s, and the page says 1.6:\n%s", got, out)
	}
}

// TestBuildFlags protects who builds by the README: make build and the page make the
// program that a release has.
func TestBuildFlags(t *testing.T) {
	script := read(t, "build.sh")
	for _, name := range []string{"../../../Makefile", "../../../caddymodule/docs/operations.md"} {
		build := regexp.MustCompile(`CGO_ENABLED=0 go build -trimpath -tags (\S+) -ldflags '-s -w' (?:-o caddy )?\./cmd/caddy\n`).FindStringSubmatch(read(t, name))
		if build == nil || !strings.Contains(script, "\ntags="+build[1]+"\n") || !strings.Contains(script, `-ldflags "-s -w -X `) || !strings.Contains(script, "CGO_ENABLED=0 ") {
			t.Errorf("%s and build.sh build differently: %q", name, build)
		}
	}
}

// TestVersions protects who compares releases: a version that sorts wrongly, or would be
// taken for something else by dpkg, is refused before anything is built or deleted.
func TestVersions(t *testing.T) {
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3 ", "v1.2.3-", "v1.2.3;id", "latest"} {
		cmd := exec.CommandContext(t.Context(), "./build.sh")
		cmd.Env = append(os.Environ(), "VERSION="+version)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "VERSION has to be like") {
			t.Errorf("%q: %v\n%s", version, err, out)
		}
	}
}
