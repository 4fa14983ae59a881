// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var demoAddress = regexp.MustCompile(`^Open (http://127\.0\.0\.1:\d+/) `)

// outage is what Caddy has to say while the page's switch has the issuer down:
// the call for a token that failed, and who was refused for it.
var outage = regexp.MustCompile(`"msg":"(minted|refused|everybody is refused with one code)".*"(outcome|code)":"issuer_unavailable"`)

// withdrawal is what Caddy has to say when somebody has withdrawn at a vendor of data,
// whose refresh token is then refused.
var withdrawal = regexp.MustCompile(`"msg":"minted".*"outcome":"delegation_refused".*"source":"wearable","cause":"the token endpoint: invalid_grant`)

// TestDemo protects what a new user sees first: that the demo starts with
// nothing but Go, does on its page what it says, and goes away when told to.
func TestDemo(t *testing.T) {
	// So that a change of these is not answered from the test cache.
	for _, pattern := range []string{"*.mjs", "../../cmd/demo/*", "../../cmd/demo/page/*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			_, _ = os.Stat(file)
		}
	}
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/demo").CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()

	var stderr bytes.Buffer
	scratch := t.TempDir()
	demo := exec.CommandContext(ctx, binary, "--port", "0")
	demo.Env = append(os.Environ(), "TMPDIR="+scratch, "HOME="+scratch, "XDG_DATA_HOME="+scratch, "XDG_CONFIG_HOME="+scratch)
	demo.Stderr = &stderr
	stdout, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	address := ""
	for address == "" && lines.Scan() {
		if m := demoAddress.FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
		}
	}
	if address == "" {
		t.Fatalf("the demo printed no address: %v; stderr: %s", demo.Wait(), stderr.String())
	}

	page := exec.CommandContext(ctx, "node", "--test", "--test-concurrency=1", "--test-reporter=spec", "demo.test.mjs", "mydex.test.mjs", "health.test.mjs", "sources.test.mjs", "engine.test.mjs")
	page.Env = append(os.Environ(), "DEMO_URL="+address, "SCREENSHOT_DIR="+os.Getenv("SCREENSHOT_DIR"))
	if out, err := page.CombinedOutput(); err != nil {
		t.Errorf("the page: %v (`make test` installs what it needs)\n%s", err, out)
	}

	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest := ""
	for lines.Scan() {
		rest += lines.Text() + "\n"
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo did not end well after SIGINT: %v; it said %q", err, rest)
	}
	for line := range strings.Lines(stderr.String()) {
		if !outage.MatchString(line) && !withdrawal.MatchString(line) {
			t.Errorf("the demo logged a warning or an error, though nothing was wrong: %s", line)
		}
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("the demo left files behind: %v, %v", left, err)
	}
}
