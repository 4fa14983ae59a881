// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// cleared has variables be unset now, and as they were after the test.
func cleared(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestC18_EnvFile protects operators whose settings are in an environment file:
// every command that reads a configuration takes it, as caddy run does.
func TestC18_EnvFile(t *testing.T) {
	server, _ := postgresGrants(t)
	_ = server
	address, keys := os.Getenv("DATABASE"), newKeyset(t)
	cleared(t, "DATABASE", "MDH_PROJECT_ID", "KEYS", "SECOND")
	s := newStack(t)
	text, err := s.Render(proxied("", ""))
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, "project         "+stack.Project, "project         {env.MDH_PROJECT_ID}", 1)
	text = strings.Replace(text, "delegate {", "delegate {\n\t\tkeyset {$KEYS}\n\t\tgrants postgres {env.DATABASE}", 1)
	config := write(t, filepath.Join(s.Dir, "Caddyfile"), text)
	one := write(t, filepath.Join(s.Dir, "one.env"), "# settings\nexport MDH_PROJECT_ID="+stack.Project+"\nDATABASE='"+address+"'\n")
	two := write(t, filepath.Join(s.Dir, "two.env"), "KEYS={file."+keys+"}\nSECOND=2\n")

	names := []string{"DATABASE", "MDH_PROJECT_ID", "KEYS", "SECOND"}
	for _, args := range [][]string{{"check"}, {"grants", "list"}, {"grants", "decisions"}, {"grants", "export", "--subject", "alice"}, {"grants", "reseal"}} {
		cleared(t, names...)
		args = append(args, "--config", config, "--adapter", "caddyfile")
		if _, err := command(t, args...); err == nil {
			t.Errorf("%v works without its settings", args)
		}
		cleared(t, names...)
		if out, err := command(t, append(args, "--envfile", one, "--envfile", two)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if got := os.Getenv("SECOND"); got != "2" {
			t.Errorf("%v: SECOND is %q", args, got)
		}
		cleared(t, names...)
		if out, err := command(t, append(args, "--envfile", one+","+two)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	// What is in the environment already stays, as for caddy run.
	cleared(t, names...)
	t.Setenv("MDH_PROJECT_ID", "5f1d2c3b-0000-4000-8000-00000000ffff")
	if out, err := command(t, "check", "--config", config, "--adapter", "caddyfile", "--envfile", one, "--envfile", two); err == nil || !strings.Contains(out, "✗ project") {
		t.Errorf("check does not look at the environment's project: %v\n%s", err, out)
	}
	if got := os.Getenv("MDH_PROJECT_ID"); got != "5f1d2c3b-0000-4000-8000-00000000ffff" {
		t.Errorf("the file overrules the environment: %q", got)
	}
	for text, want := range map[string]string{
		"NAME":                "line 1 is not NAME=value",
		"A=1\n=secret":        "line 2 has no name",
		"A B=secret":          "line 1 has a blank in the name",
		"A= secret":           "line 1 has a blank behind the =",
		"A=\"x\ny\"\nB=\tsec": "line 3 has a blank behind the =",
	} {
		file := write(t, filepath.Join(s.Dir, "odd.env"), text)
		if _, err := command(t, "check", "--config", config, "--envfile", file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: %v; want %q, and nothing of a value", text, err, want)
		}
	}
	if _, err := command(t, "check", "--config", config, "--envfile", filepath.Join(s.Dir, "none.env")); err == nil || !strings.Contains(err.Error(), "none.env") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := command(t, "keyset", "generate", filepath.Join(s.Dir, "k.json"), "--envfile", one); err == nil {
		t.Error("keyset generate reads no configuration, and takes --envfile")
	}
}

// TestC18_EnvFileMeansTheSame protects operators from a file that means one
// thing to caddy run and another to caddy delegate: whatever is in it, both find
// the same, or both nothing.
func TestC18_EnvFileMeansTheSame(t *testing.T) {
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "empty.json"), "{}")
	// Caddy's own command, which loads the file first.
	caddys := func(file string) error {
		validate := caddycmd.Commands()["validate"]
		cmd := &cobra.Command{Use: "validate", SilenceUsage: true, SilenceErrors: true}
		validate.CobraFunc(cmd)
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"--config", config, "--envfile", file})
		return cmd.ExecuteContext(t.Context())
	}
	// The configuration is none: what is compared was loaded before.
	ours := func(file string) error {
		_, err := command(t, "check", "--config", config, "--envfile", file)
		if err != nil && strings.Contains(err.Error(), "no global option delegate") {
			return nil
		}
		return err
	}
	names := []string{"A_ENV", "B_ENV", "C_ENV"}
	for _, text := range []string{
		"A_ENV=1", " A_ENV=1 \n\tB_ENV=2\r\n", "export A_ENV=x y", "A_ENV=\nB_ENV==", "A_ENV=a=b", "A_ENV=x # y\nB_ENV=x#y\nC_ENV=#",
		`A_ENV="x"`, `A_ENV='x y'`, `A_ENV="x' y`, "A_ENV=\"x\ny\"\nB_ENV=2", "A_ENV='x\n\n y'\n", `A_ENV="x \" y"`, "A_ENV=\"x \\\"\ny\"", `A_ENV="x" # y`, "A_ENV=\"x\" # y\nB_ENV=2\"\nC_ENV=3",
		`A_ENV="`, `A_ENV="x`, `A_ENV=''`, "A_ENV=1\nA_ENV=2", "# A_ENV=1\n\nB_ENV=2", "A_ENV", "=1", "A B_ENV=1", "A_ENV= 1", "A_ENV=\t1", "export =1", "A_ENV=-----BEGIN X-----\\nabc\\n", "A_ENV={file./x}\nB_ENV=$A_ENV",
		"\ufeffA_ENV=1", "A_ENV=ö\nB_ENV=\\n", strings.Repeat("A_ENV=1\n", 3), "A_ENV=" + strings.Repeat("x", 70_000),
	} {
		file := write(t, filepath.Join(dir, "x.env"), text)
		found := func(load func(string) error) string {
			cleared(t, names...)
			cleared(t, "\ufeffA_ENV")
			if load(file) != nil {
				return "refused"
			}
			var all []string
			for _, name := range append(names, "\ufeffA_ENV") {
				value, there := os.LookupEnv(name)
				all = append(all, fmt.Sprintf("%q %t", value, there))
			}
			return strings.Join(all, " ")
		}
		if want, got := found(caddys), found(ours); want != got {
			t.Errorf("%.60q: Caddy finds %.100s, caddy delegate %.100s", text, want, got)
		}
	}
}
