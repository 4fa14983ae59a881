// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestOutage protects operators from an outage that began anew with each request,
// that ends with a request nobody waited for, or that never ends.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Store
		s.dialect.reason = func(err error) (string, bool) { return err.Error(), false }
		_ = s.unavailable("a test", nil)
		if o := s.Outage(); o != (Outage{}) {
			t.Fatalf("%+v", o)
		}
		began := time.Now().UTC()
		for _, why := range []string{"refused", "starting"} {
			if err := s.unavailable("a test", errors.New(why)); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
			if o := s.Outage(); o != (Outage{began, why}) {
				t.Errorf("%+v, want since %s: %s", o, began, why)
			}
			time.Sleep(time.Second)
		}
		_ = s.unavailable("a test", context.Canceled)
		_ = s.unavailable("a test", errChanged)
		if o := s.Outage(); o != (Outage{began, "starting"}) {
			t.Errorf("%+v after what tells nothing", o)
		}
		_ = s.unavailable("a test", ErrNotFound) // the database has answered
		if o := s.Outage(); o != (Outage{}) {
			t.Errorf("%+v after an answer", o)
		}
		_ = s.unavailable("a test", context.Canceled)
		if o := s.Outage(); o != (Outage{}) {
			t.Errorf("%+v by a client that has left", o)
		}
	})
}
