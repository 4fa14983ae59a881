// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestConnectURL protects an operator's first evening from a url of delegate_connect that
// is another address than its site's: the vendor then sends everybody elsewhere, and the
// page has neither style nor answers. `check` and the log of the load say so.
func TestConnectURL(t *testing.T) {
	c := startSources(t, "", "")
	own := "url     http://127.0.0.1:[[.Port]]/connect"
	for name, v := range map[string]struct{ old, changed, want string }{
		"its own": {own, own, ""},
		"a path":  {own, "url http://127.0.0.1:[[.Port]]/con", "url has the path /con, and it stands at /connect: make them the same"},
		"a host":  {own, "url http://localhost:[[.Port]]/connect", "url has the host localhost, and its site has 127.0.0.1: browsers keep cookies by host"},
		"handle":  {"handle_path /connect/*", "handle /connect/*", "all paths that come to it begin with /connect, and it knows none of them: write handle_path"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.caddyfileOf("", "")
			if !strings.Contains(text, v.old) {
				t.Fatal(text)
			}
			file := filepath.Join(t.TempDir(), "caddy.log")
			text = strings.Replace(strings.Replace(text, c.logFile(), file, 1), v.old, v.changed, 1)
			load(t, c.Stack, text)
			out := checks(t, c.Stack, text, true)
			warned, _ := lines(t, file, "the url of a delegate_connect is not where it stands")
			if v.want == "" {
				lacks(t, out, "! url ")
				if len(warned) > 0 {
					t.Errorf("%v", warned)
				}
				return
			}
			contains(t, out, "! url                delegate_connect study: "+v.want)
			if len(warned) != 1 || warned[0]["provider"] != "study" || !strings.HasPrefix(fmt.Sprint(warned[0]["mismatch"]), v.want) {
				t.Errorf("%v", warned)
			}
		})
	}
}
