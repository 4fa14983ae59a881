// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A key that is replaced where it is kept is used without a reload, and one
// that cannot be read leaves the old one in use: a file may just be being
// written.
func TestKeysAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		kept, failing := testKeys()[:1], error(nil)
		c := testConfig(ByID)
		c.LoadKeys = func() ([]*rsa.PrivateKey, error) { return kept, failing }
		p, h := open(t, c, pf)
		wantParticipant(t, p, guid(0), guid(0), "")
		before := p.identity(request(guid(0)))

		failing = errors.New("no such file")
		for range 3 {
			time.Sleep(2 * time.Hour)
			wantParticipant(t, p, guid(0), guid(0), "")
		}
		if n := h.logs.FilterMessageSnippet("cannot be read").Len(); n != 1 {
			t.Errorf("the operator was told %d times", n)
		}

		kept, failing = testKeys()[1:], nil
		pf.change(func() { pf.keys = []*rsa.PublicKey{&testKeys()[1].PublicKey} })
		time.Sleep(2 * time.Hour)
		wantParticipant(t, p, guid(0), guid(0), "")
		if after := p.identity(request(guid(0))); after.Key != before.Key {
			t.Error("R13: a rotation has made everybody's token unreachable")
		}
	})
}

// A key file that hangs, as on a network that is gone, must not stop those
// whose token is at hand.
func TestHungKeyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		hang, hung := make(chan struct{}), false
		c := testConfig(ByID)
		c.LoadKeys = func() ([]*rsa.PrivateKey, error) {
			if hung {
				<-hang
			}
			return testKeys()[:1], nil
		}
		p, _ := open(t, c, pf)
		wantParticipant(t, p, guid(0), guid(0), "")
		hung = true
		stale, _, err := p.serviceToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = p.renewServiceToken(t.Context(), stale) }()
		synctest.Wait()
		began := time.Now()
		wantParticipant(t, p, guid(0), guid(0), "")
		if time.Since(began) != 0 {
			t.Error("a token at hand waited for the file")
		}
		close(hang)
		synctest.Wait()
	})
}
