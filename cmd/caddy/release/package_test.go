// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestPackage protects operators: the package installs in a fresh Debian, serves with
// the page's configuration under the unit's restrictions, reloads, is upgraded without
// losing anything, and leaves nothing but data. `make verify` runs it.
func TestPackage(t *testing.T) {
	deb, debian, version := os.Getenv("RELEASE_PACKAGE"), os.Getenv("RELEASE_DEBIAN"), os.Getenv("RELEASE_VERSION")
	if deb == "" {
		t.Skip("there is no package: make verify builds one")
	}
	m := machine{t, filepath.Join(t.TempDir(), "debian")}
	command(t, "mkdir", m.root)
	command(t, "tar", "--extract", "--file", debian, "--directory", m.root)
	m.run("env", "DPKG_MAINTSCRIPT_PACKAGE=caddy", "deb-systemd-helper", "mask", "caddy.service") // as Debian's caddy does when it is replaced
	before := m.files()
	install(m, deb)
	m.run("test", "!", "-e", "/etc/systemd/system/caddy.service", "-a", "!", "-L", "/etc/systemd/system/caddy.service")
	if got := m.run("caddy", "delegate", "version"); !strings.HasPrefix(got, version+" (Caddy v2.") {
		t.Errorf("the installed program says it is %q", got)
	}
	for name, want := range map[string]string{"/etc/caddy/credentials": "700 root", "/var/lib/caddy": "700 caddy", "/usr/share/man/man8/caddy-delegate-check.8.gz": "644 root"} {
		if got := strings.TrimSpace(m.run("stat", "-c", "%a %U", name)); got != want {
			t.Errorf("%s is of %q, and not %q", name, got, want)
		}
	}
	m.run("caddy", "validate", "--config", "/etc/caddy/Caddyfile")

	s, err := stack.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	site := fmt.Sprintf("http://127.0.0.1:%d", privilegedPort(t))
	configuration := strings.NewReplacer(
		"scopes ", "base_url "+s.PlatformURL+"\n\t\t\tscopes ", "app.example.org {", site+" {",
		"\tdelegate {\n", "\tdelegate {\n"+consentProvider,
		"\thandle {", consentSite+"\thandle {",
	).Replace(pageConfiguration(t))
	configuration = strings.ReplaceAll(configuration, "app.internal:3000", s.AppAddr)
	caddyfile := filepath.Join(m.root, "etc/caddy/Caddyfile")
	write(t, caddyfile, configuration)
	write(t, filepath.Join(m.root, "etc/caddy/credentials/mydatahelps.pem"), read(t, s.KeyFile))
	environment := []string{"MDH_PROJECT_ID=" + stack.Project, "MDH_SERVICE_ACCOUNT=" + stack.Account}
	session := s.App.SignIn(stack.Alice.Identifier, time.Time{})

	stop := m.start(environment...)
	get(t, site+"/mydex/", session, http.StatusForbidden, `"consent_required"`) // which the database has said
	get(t, site+"/mdh/api/v1/delegated/participant", session, http.StatusOK, `"participantIdentifier":"alice"`)
	write(t, caddyfile, strings.Replace(configuration, "\thandle {", "\thandle /reloaded {\n\t\trespond yes\n\t}\n\thandle {", 1))
	if out, err := m.command("ExecReload").CombinedOutput(); err != nil {
		t.Errorf("the reload: %v\n%s", err, out)
	}
	get(t, site+"/reloaded", session, http.StatusOK, "yes")
	stop()

	database := filepath.Join(m.root, "var/lib/caddy/.local/share/caddy/delegate/grants.db")
	state := read(t, database)
	install(m, later(t, deb))
	if got := read(t, caddyfile); !strings.Contains(got, "/reloaded") {
		t.Error("the upgrade has replaced the Caddyfile")
	}
	if read(t, database) != state {
		t.Error("the upgrade has changed the state")
	}
	stop = m.start(environment...)
	get(t, site+"/mdh/api/v1/delegated/participant", session, http.StatusOK, `"participantIdentifier":"alice"`)
	stop()

	for _, name := range []string{"filtered", "package.deb"} {
		command(t, "rm", filepath.Join(m.root, name))
	}
	m.run("dpkg", "--remove", "caddy-delegate")
	m.left(before, `^/etc/caddy|^/var/lib/caddy|^/var/lib/dpkg/info/caddy-delegate\.(list|postrm)$`)
	m.run("dpkg", "--purge", "caddy-delegate")
	m.left(before, `^/etc/caddy(/credentials.*)?$|^/var/lib/caddy`)
}

// A provider that keeps grants, by default in a database below the state, and a site
// that asks for one.
const (
	consentProvider = `
		provider mydex {
			environment sandbox
			client_id 1
			client_secret 0123456789abcdef
			connection_nid 1
			connection_token 0123456789abcdef
			scopes mydex:pdx
		}
`
	consentSite = `
	handle_path /mydex/* {
		forward_auth app.internal:3000 {
			uri /auth
		}
		delegate_proxy mydex {
			subject {rp.header.Remote-User}
			allow GET /
		}
	}
`
)

// install installs a package, and the program that TestFilteredProcess is part of.
func install(m machine, deb string) {
	m.t.Helper()
	program, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	command(m.t, "cp", program, filepath.Join(m.root, "filtered"))
	command(m.t, "cp", deb, filepath.Join(m.root, "package.deb"))
	m.run("dpkg", "--install", "/package.deb")
}

// later is the same package of a later version.
func later(t *testing.T, deb string) string {
	t.Helper()
	folder, next := filepath.Join(t.TempDir(), "package"), filepath.Join(t.TempDir(), "later.deb")
	command(t, "dpkg-deb", "--raw-extract", deb, folder)
	control := filepath.Join(folder, "DEBIAN", "control")
	write(t, control, regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAllString(read(t, control), "Version: 9999.0.0"))
	command(t, "dpkg-deb", "--build", "-Zgzip", folder, next)
	return next
}

// privilegedPort is a free port that only root, or who has the capability of the
// unit, can listen on.
func privilegedPort(t *testing.T) int {
	t.Helper()
	for port := 1023; port > 512; port-- {
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port below 1024 is free")
	return 0
}

// pageConfiguration is the Caddyfile of the page on installing.
func pageConfiguration(t *testing.T) string {
	t.Helper()
	block := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindStringSubmatch(read(t, "../../../caddymodule/docs/install.md"))
	if block == nil {
		t.Fatal("the page has no Caddyfile")
	}
	return block[1]
}

// get fails unless a page has the status and, in its body, the text.
func get(t *testing.T, url, session string, status int, want string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: stack.CookieName, Value: session})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || !strings.Contains(string(body), want) {
		t.Errorf("%s: %s, %v\n%s", url, resp.Status, err, body)
	}
}

// files are those of the machine, without what changes by itself.
func (m machine) files() map[string]bool {
	m.t.Helper()
	all := make(map[string]bool)
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, m.root)
		if err != nil || name == "/proc" || name == "/run" || name == "/dev" || name == "/tmp" {
			return fs.SkipDir
		}
		all[name] = true
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// left fails if there are files that were not there before, but those that are data,
// or the machine's own notes of packages and users.
func (m machine) left(before map[string]bool, data string) {
	m.t.Helper()
	own := regexp.MustCompile(data + `|^/var/lib/dpkg/.*-old$|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|^/var/log/|^/var/cache/`)
	for _, name := range slices.Sorted(maps.Keys(m.files())) {
		if !before[name] && !own.MatchString(name) {
			m.t.Errorf("the package has left %s", name)
		}
	}
}

// write writes a file without changing whose it is, or makes it for root alone.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
}
