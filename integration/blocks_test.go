// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestC43_ExampleDemoAndBenchmark protects who copies from what is no page of the
// docs: each question to an auth server has limits, and the example's leave
// preflights alone, those of the logout as well.
func TestC43_ExampleDemoAndBenchmark(t *testing.T) {
	for _, file := range []string{"../Caddyfile.example", "../cmd/demo/Caddyfile", "bench/contender.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code := withoutComments(string(text))
		asked := regexp.MustCompile(`(?m)^\s*forward_auth .*$`).FindAllString(code, -1)
		if dials, answers := strings.Count(code, "dial_timeout "), strings.Count(code, "response_header_timeout 5s"); len(asked) == 0 || dials < len(asked) || answers != len(asked) {
			t.Errorf("%s asks an auth server %d times, with %d limits for connecting and %d for the answer", file, len(asked), dials, answers)
		}
		if file != "../Caddyfile.example" {
			continue
		}
		for _, line := range asked {
			if !strings.Contains(line, " @") {
				t.Errorf("%s: preflights are asked about: %s", file, strings.TrimSpace(line))
			}
		}
	}
}
