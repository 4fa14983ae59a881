// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	_ "github.com/caddy-delegate/caddy-delegate/caddymodule" // which registers the command
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// delegateCommand runs `caddy delegate` with the arguments, as Caddy
// registered it, and returns what it printed.
func delegateCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	registered, ok := caddycmd.Commands()["delegate"]
	if !ok {
		t.Fatal("caddy has no command delegate")
	}
	// Caddy's root command, without which a command's errors would print its usage.
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	cmd := &cobra.Command{Use: registered.Name + " " + registered.Usage, Short: registered.Short, Long: registered.Long}
	registered.CobraFunc(cmd)
	root.AddCommand(cmd)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"delegate"}, args...))
	err := root.Execute()
	return out.String(), err
}

func readKeyset(t *testing.T, path string) *keyset.Keyset {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestDelegateCommandHelp protects the newcomer: a group of commands tells
// what is in it.
func TestDelegateCommandHelp(t *testing.T) {
	for want, args := range map[string][]string{"keyset": nil, "rotate": {"keyset"}, "every machine": {"keyset", "rotate", "--help"}} {
		if out, err := delegateCommand(t, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}
