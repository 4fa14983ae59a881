// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRedeemOnFullDisk protects a person whose token was exchanged while the disk ran
// full: nothing of it counts, they are told so, and the same flow can hand the same
// token over when there is room.
func TestRedeemOnFullDisk(t *testing.T) {
	d := newDesk(t, Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}, "page")
	d.o.CallTimeout = 100 * time.Millisecond // for so long it tries to write
	d.tokens = delegation.GrantTokens{Access: delegation.NewSecret(strings.Repeat("k", 20_000))}
	alice := d.begun("alice")
	limit := func(pages int) {
		if _, err := d.store.db.ExecContext(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(pages)); err != nil {
			t.Error(err)
		}
	}
	d.store.db.SetMaxOpenConns(1)  // the limit is a connection's
	d.during = func() { limit(1) } // as many as there are
	if done, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-a"); code(err) != delegation.GrantsUnavailable {
		t.Errorf("%+v %v", done, err)
	}
	if got := d.account("alice"); got != "" {
		t.Errorf("alice is %q", got)
	}
	d.during = nil
	limit(1 << 20)
	if done, err := d.hands(d.Consents, "alice", alice.BrowserToken, "1-a"); err != nil || !done.First || d.account("alice") != "1" {
		t.Errorf("with room: %+v %v, alice is %q", done, err, d.account("alice"))
	}
	if n := d.redeemed.Load(); n != 2 {
		t.Errorf("%d exchanges", n)
	}
}
