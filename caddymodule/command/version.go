// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version that `make release` stamps by the linker's -X; empty in
// every other build.
var release string

// modulePath is the module of these packages in a build's list of modules.
const modulePath = "github.com/caddy-delegate/caddy-delegate"

// caddyPath is Caddy's.
const caddyPath = "github.com/caddyserver/caddy/v2"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Prints the version of the delegate modules, and of Caddy and Go",
		Long: `
Prints one line: the version of the delegate modules, that of the Caddy they are
compiled into, and that of Go. It is what a report of a fault should begin with.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine(release, info))
			return err
		},
	}
}

// versionLine tells the versions of the modules, of Caddy and of Go. Without a
// stamped version, the modules' is Go's: that of the required module where xcaddy
// has built, "(devel)" for a build of a checkout.
func versionLine(stamped string, info *debug.BuildInfo) string {
	modules, caddy := stamped, ""
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Replace != nil {
			m = &debug.Module{Path: m.Path, Version: m.Replace.Version}
		}
		switch m.Path {
		case modulePath:
			modules = cmp.Or(modules, m.Version)
		case caddyPath:
			caddy = m.Version
		}
	}
	return fmt.Sprintf("%s (Caddy %s, %s)", cmp.Or(modules, "(devel)"), cmp.Or(caddy, "unknown"), cmp.Or(info.GoVersion, "Go unknown"))
}
