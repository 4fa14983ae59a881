// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"os"
	"testing"
)

// TestConnectScript protects pages that connect people by connect.js, in Chromium
// against a widget of the test's own: the widget opens while the click counts and
// for whoever is signed in then, under a strict Content-Security-Policy, what it hands over is posted as it is, and the
// page is told how it ended, once.
func TestConnectScript(t *testing.T) {
	for _, file := range []string{"connect_script.test.mjs", "../../caddymodule/connect.js"} {
		if _, err := os.ReadFile(file); err != nil { // so that a change is not answered from the test cache
			t.Fatal(err)
		}
	}
	runNode(t, []string{"connect_script.test.mjs"})
}
