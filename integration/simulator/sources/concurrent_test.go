// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// A hundred calls at once must get one answer of each code and refresh token: what
// the product is measured by must not count twice itself.
func TestConcurrent(t *testing.T) {
	v := newVendor(t, CityLab)
	v.Set(func(s *Settings) { s.ReuseEnds = false })
	together := func(call func() response) (good int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if r := call(); r.status == http.StatusOK {
					mu.Lock()
					good++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		return good
	}
	code := v.code()
	if good := together(func() response { return v.redeem(code) }); good != 1 {
		t.Errorf("code: %d", good)
	}
	refresh := v.connect().text("refresh_token")
	if good := together(func() response { return v.refresh(refresh) }); good != 1 {
		t.Errorf("refresh token: %d", good)
	}
	if n := v.Counts(); n.Refreshed != 1 || n.RefreshReused != 99 || n.CodesReused != 99 || n.TokensAtOnce < 1 || n.TokensInFlight != 0 {
		t.Errorf("%+v", n)
	}
}

// How many calls are at the token endpoint at once must be counted right: the bound
// of 16 is tested by it.
func TestTokensAtOnce(t *testing.T) {
	v := newVendor(t, CityLab)
	refresh := v.connect().text("refresh_token")
	if err := v.SetMode("slow"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { v.refresh(refresh) })
	}
	// They are held until the mode ends.
	for deadline := time.Now().Add(10 * time.Second); v.Counts().TokensInFlight < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the requests do not arrive: %+v", v.Counts())
		}
	}
	if err := v.SetMode(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if n := v.Counts(); n.TokensAtOnce != 5 || n.Refreshes != 5 {
		t.Errorf("%+v", n)
	}
}
