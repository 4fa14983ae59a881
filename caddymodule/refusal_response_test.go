// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"
	"time"
)

// TestStructuredName protects Proxy-Status from an operator's odd name.
func TestStructuredName(t *testing.T) {
	for name, want := range map[string]string{"caddy-delegate": "caddy-delegate", "edge.example.org": "edge.example.org", "My proxy": `"My proxy"`, "1st": `"1st"`, `a"b`: `"a\"b"`} {
		if got := structuredName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestWholeSeconds protects clients that wait exactly as long as they are told.
func TestWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Second: "1", 1200 * time.Millisecond: "2", 37500 * time.Millisecond: "38"} {
		if got := wholeSeconds(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
