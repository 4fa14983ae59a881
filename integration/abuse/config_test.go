// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT41_MissingFiles protects against CVE-2026-27586: a file of certificate
// authorities that was missing or could not be read meant that all were
// trusted. Here any file that is missing, empty, a folder or something else
// refuses to load, and a Caddy that runs keeps what it has.
func TestT41_MissingFiles(t *testing.T) {
	r := newRig(t)
	file := func(name, content string) {
		if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("empty", "")
	file("garbage", "hunter2-not-a-key")
	if err := os.Mkdir(filepath.Join(r.Dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	good := caddyfile("", site(""), passing)
	r.load(good)
	alice := r.cookie("alice")
	serves := func(what string) {
		r.served(what, stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, alice) })
	}
	serves("before")
	for what, c := range map[string]struct{ from, to string }{
		"private_key":         {"{file.[[.KeyFile]]}", "{file.%s}"},
		"hmac_secret":         {"{file.[[.Dir]]/session.key}", "{file.%s}"},
		"ca_file":             {"participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file %s\n\t\t\t}"},
		"app_session ca_file": {"hmac_secret {file.[[.Dir]]/session.key}", "jwks https://login.example/jwks\n\t\t\thttp {\n\t\t\t\tca_file %s\n\t\t\t}"},
		"public_key":          {"hmac_secret {file.[[.Dir]]/session.key}", "public_key {file.%s}"},
		"keyset":              {"delegate {", "delegate {\n\t\tkeyset {file.%s}"},
		"redis ca_file":       {"delegate {", "delegate {\n\t\tkeyset {file.[[.Dir]]/keyset.json}\n\t\tcache redis rediss://localhost:1/0 {\n\t\t\tca_file %s\n\t\t}"},
	} {
		for _, name := range []string{"absent", "empty", "garbage", "folder"} {
			text := strings.Replace(good, c.from, fmt.Sprintf(c.to, "[[.Dir]]/"+name), 1)
			err := r.Load(text)
			if err == nil {
				t.Errorf("%s, %s: it was loaded", what, name)
				r.load(good)
				continue
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s, %s: the error shows the file: %v", what, name, err)
			}
		}
		serves(what)
	}
	// The same lines with files that hold what they should do load.
	file("session2.key", string(r.secret))
	r.load(strings.NewReplacer("{file.[[.Dir]]/session.key}", "{file.[[.Dir]]/session2.key}", "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file [[.CertFile]]\n\t\t\t}").Replace(good))
	serves("with other files")
}
