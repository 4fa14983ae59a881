// SPDX-License-Identifier: Apache-2.0

package delegation

import "testing"

// TestIsLoopback protects secrets from http to another machine whose name or
// address looks like this one's.
func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.": false, "a.localhost": false, "localhost.example": false, "127.0.0.1.example": false,
		"127.1": false, "0.0.0.0": false, "[::1]": false, "2130706433": false, "10.0.0.1": false,
	} {
		if IsLoopback(host) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
}
