// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"net/http"
	"strconv"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestC9_StrangersAreNoFault protects operators' nights from alarms that anybody
// can set off: that a stranger's token cannot be judged at once is no error.
func TestC9_StrangersAreNoFault(t *testing.T) {
	key, stranger, i := newECKey(t), newECKey(t), newKeyIssuer(t)
	i.publish(keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil))
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	later := 0
	for n := range 10 {
		if u.as(http.MethodGet, "/who", signed(t, jose.ES256, stranger, "k", loginClaims(strconv.Itoa(n)))).StatusCode == http.StatusServiceUnavailable {
			later++
		}
	}
	found, _ := lines(t, file, "refused")
	if later == 0 || len(found) != 10 {
		t.Fatalf("%d lines, %d answered 503", len(found), later)
	}
	for _, line := range found {
		if line["level"] != "info" {
			t.Errorf("%v", line)
		}
	}
}
