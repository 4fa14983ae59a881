// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// keysetCommands are `caddy delegate keyset …`.
func keysetCommands() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keyset",
		Short: "Makes and rotates keysets",
	}
	requireSubcommand(cmd)
	cmd.AddCommand(keysetCommand("generate", "Writes a new keyset", `
Writes a keyset with new keys. The file must not exist. Its mode is 0600: only
its owner, which should be the user Caddy runs as, can read it. Whoever has the
file can open all that was sealed, so guard it like a private key.`, generateKeyset))
	cmd.AddCommand(keysetCommand("rotate", "Takes a keyset one step further", `
Replaces the keys of a keyset in two steps, so that no machine ever meets what
it cannot open. The file itself tells which one is next:

  1. A new key is staged: it opens, but nothing is sealed by it.
  2. The staged key becomes the one that seals. The key before still opens.

After each, copy the file to every machine and reload them all, before the next.
Staging also removes keys older than the one before the present one, and what
only they sealed cannot be opened again.

The file keeps its owner; its mode becomes 0600 if it was more.`, rotateKeyset))
	return cmd
}

func keysetCommand(name, short, long string, run func(path string) (done string, err error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " <file>",
		Short: short,
		Long:  long,
	}
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		if fl.NArg() != 1 || fl.Arg(0) == "" {
			return caddy.ExitCodeFailedStartup, errors.New("name one file: caddy delegate keyset " + name + " <file>")
		}
		done, err := run(fl.Arg(0))
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Fprintln(cmd.OutOrStdout(), done)
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

func generateKeyset(path string) (string, error) {
	keys, err := keyset.Generate()
	if err != nil {
		return "", err
	}
	if err := keys.Create(path); err != nil {
		return "", err
	}
	return fmt.Sprintf("Wrote a new keyset to %s. Give it to the user Caddy runs as, on every machine that shares the cache.", path), nil
}

func rotateKeyset(path string) (string, error) {
	staged, err := keyset.Rotate(path)
	if err != nil {
		return "", err
	}
	if staged {
		return fmt.Sprintf("Staged a new key in %s, which opens but does not seal yet, and removed keys older than the previous one.\n"+
			"Copy the file to every machine and reload each (caddy reload --force), then run rotate again.", path), nil
	}
	return fmt.Sprintf("The staged key in %s now seals; the one before still opens.\n"+
		"Copy the file to every machine and reload each (caddy reload --force); the rotation is then complete.", path), nil
}
