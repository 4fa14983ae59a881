// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// environment is what compose.yaml asks of who starts it.
var environment = []string{
	"MDH_PROJECT_ID=id", "MDH_SERVICE_ACCOUNT=account", "SESSION_JWKS=https://login.example.org/jwks.json",
	"SESSION_ISSUER=https://login.example.org", "SESSION_AUDIENCE=app", "APP_ADDRESS=app:3000",
}

func load(t *testing.T, environment ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder, "compose.yaml")}, cli.WithEnv(environment))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// TestCompose protects who starts compose.yaml: Compose reads it, each setting that
// is missing is named, and both Caddys are shut in as the page on containers promises.
func TestCompose(t *testing.T) {
	for i, setting := range environment {
		name, _, _ := strings.Cut(setting, "=")
		rest := append(append([]string(nil), environment[:i]...), environment[i+1:]...)
		if _, err := load(t, rest...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	project, err := load(t, environment...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"caddy-1", "caddy-2"} {
		s, err := project.GetService(name)
		if err != nil {
			t.Fatal(err)
		}
		if !s.ReadOnly || len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL" || len(s.SecurityOpt) != 1 {
			t.Errorf("%s may do more than it needs", name)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s listens on %q", name, p.HostIP)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := project.Secrets[secret.Source]; !ok {
				t.Errorf("%s: no secret %q", name, secret.Source)
			}
		}
	}
}

// TestComposeSecrets protects the secrets that stand beside compose.yaml from a commit,
// and from the builder's cache: and the build, which could not read them.
func TestComposeSecrets(t *testing.T) {
	project, err := load(t, environment...)
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(file, line string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(top, file))
		if err != nil || !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("%s does not have %s: %v", file, line, err)
		}
	}
	for name, secret := range project.Secrets {
		at, err := filepath.Rel(top, filepath.Dir(secret.File))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ignored(".gitignore", "/"+at+"/")
		ignored(".dockerignore", at)
	}
}
