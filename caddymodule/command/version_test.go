// SPDX-License-Identifier: Apache-2.0

package command

import (
	"runtime/debug"
	"testing"
)

// TestVersionLine protects who reads a report of a fault: a release says its
// number whatever Go calls the build, and every other build what Go knows of it.
func TestVersionLine(t *testing.T) {
	caddy := &debug.Module{Path: caddyPath, Version: "v2.11.9"}
	checkout := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: modulePath, Version: "(devel)"}, Deps: []*debug.Module{caddy}}
	required := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{{Path: modulePath, Version: "v1.2.3"}, caddy}}
	replaced := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "caddy"},
		Deps: []*debug.Module{{Path: modulePath, Version: "v0.0.0", Replace: &debug.Module{Path: "/src"}}, caddy},
	}
	for _, c := range []struct {
		name, stamped string
		info          *debug.BuildInfo
		want          string
	}{
		{"a release", "v1.2.3", checkout, "v1.2.3 (Caddy v2.11.9, go1.26.8)"},
		{"a checkout", "", checkout, "(devel) (Caddy v2.11.9, go1.26.8)"},
		{"a required module", "", required, "v1.2.3 (Caddy v2.11.9, go1.26.8)"},
		{"a replaced module, which has no version", "", replaced, "(devel) (Caddy v2.11.9, go1.26.8)"},
		{"a build without its list of modules", "", &debug.BuildInfo{}, "(devel) (Caddy unknown, Go unknown)"},
	} {
		if got := versionLine(c.stamped, c.info); got != c.want {
			t.Errorf("%s: %q, and not %q", c.name, got, c.want)
		}
	}
}
