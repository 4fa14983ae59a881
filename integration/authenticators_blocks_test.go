// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// pastedBlock is the block under a heading of the page about authenticators.
func pastedBlock(t *testing.T, heading string) string {
	t.Helper()
	const page = "caddymodule/docs/authenticators.md"
	_, text, ok := strings.Cut(documents(t)[page], "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %s", page, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	blocks := fenced(page, text, "caddyfile")
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks", heading, len(blocks))
	}
	return blocks[0].text
}

// site is a Caddyfile of the stack's whose site has blocks of the page.
func site(blocks ...string) string {
	return `{` + stack.Options + `
	delegate {` + stack.Provider + `
		trusted_origins https://www.example.org
	}
}
http://127.0.0.1:[[.Port]] {
` + strings.Join(blocks, "\n") + `
}
`
}

// TestC43_BlocksAreWhole protects who pastes any block of the docs: one that asks
// an auth server has a time limit, leaves preflights alone, and tells the path.
func TestC43_BlocksAreWhole(t *testing.T) {
	pages := documents(t)
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	pages["Caddyfile.example"] = "```caddyfile\n" + string(example) + "```\n"
	for page, text := range pages {
		for _, b := range fenced(page, text, "caddyfile") {
			code := withoutComments(b.text)
			asked := strings.Count(code, "forward_auth ") + strings.Count(code, "rewrite /oauth2/auth")
			if limits := strings.Count(code, "response_header_timeout 5s"); asked != limits {
				t.Errorf("%s asks an auth server %d times, and has %d limits", b, asked, limits)
			}
			for _, line := range regexp.MustCompile(`(?m)^\s*(?:forward_auth|basic_auth|authorize)\b.*$`).FindAllString(code, -1) {
				if !strings.Contains(line, " @") && !strings.Contains(code, "respond ") && !strings.Contains(code, "delegate_logout") {
					t.Errorf("%s: preflights are asked about: %s", b, line)
				}
			}
			if paths, told := strings.Count(code, "handle_path "), strings.Count(code, "X-Forwarded-Uri /"); asked > 0 && paths > told {
				t.Errorf("%s: %d prefixes are stripped, and %d told", b, paths, told)
			}
		}
	}
}
