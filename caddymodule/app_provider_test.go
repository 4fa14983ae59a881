// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"reflect"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// testGuest is a provider that retains state, and whose Open fails with the error
// fail, if that is set.
type testGuest struct {
	delegation.Provider
	traits delegation.Traits
	fail   error
	state  io.Closer
	built  *countingCloser
}

type countingCloser struct{ closed int }

func (c *countingCloser) Close() error { c.closed++; return nil }

func (g *testGuest) Traits() delegation.Traits { return g.traits }

func (g *testGuest) Open(host delegation.Host) error {
	g.state = host.Retain("key", func() io.Closer { g.built = new(countingCloser); return g.built })
	return g.fail
}

func (*testGuest) Forget(delegation.Selection) {}

func poolSize() int {
	n := 0
	pool.Range(func(any, any) bool { n++; return true })
	return n
}

// TestStateIsShared protects the warmth of a cache over reloads, and providers
// from each other: state belongs to one name and kind, and ends with the last
// configuration that uses it.
func TestStateIsShared(t *testing.T) {
	before := poolSize()
	same := delegation.Traits{Fingerprint: "1"}
	first, second, other := &testGuest{traits: same}, &testGuest{traits: same}, &testGuest{traits: same}
	a, err := openProvider("a", first, appServices{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	again, _ := openProvider("a", second, appServices{}, zap.NewNop())
	b, _ := openProvider("b", other, appServices{}, zap.NewNop())
	if second.state != first.state || again.state != a.state || second.built != nil {
		t.Error("the same provider of the next configuration starts cold")
	}
	if other.state == first.state || b.state == a.state {
		t.Error("two providers share state")
	}
	_ = a.close()
	if first.built.closed != 0 {
		t.Error("state was ended that another configuration uses")
	}
	_ = again.close()
	_ = again.close() // twice is harmless: what was taken is given back once
	if first.built.closed != 1 || other.built.closed != 0 {
		t.Errorf("state was ended %d times, the other provider's %d times", first.built.closed, other.built.closed)
	}
	_ = b.close()
	if poolSize() != before {
		t.Errorf("%d entries are left in the pool", poolSize()-before)
	}
}

// TestGuestsReachTheirHostAlone protects people's tokens from a third party's
// provider: the host that it is given has the methods of its interfaces and
// no other, so that no type assertion leads to purges or another's credentials.
func TestGuestsReachTheirHostAlone(t *testing.T) {
	host := reflect.TypeFor[*providerHost]()
	allowed := make(map[string]bool)
	for _, contract := range []reflect.Type{reflect.TypeFor[delegation.GrantsHost](), reflect.TypeFor[delegation.SourcesHost](), reflect.TypeFor[grants.StoreHost]()} {
		for method := range contract.Methods() {
			allowed[method.Name] = true
		}
	}
	for method := range host.Methods() {
		if name := method.Name; !allowed[name] {
			t.Errorf("a guest can call %s of its host", name)
		}
	}
}

// TestFailedOpenLetsGo protects memory, and the balance of the pool, from
// configurations that do not load.
func TestFailedOpenLetsGo(t *testing.T) {
	before := poolSize()
	fail := errors.New("no")
	for _, g := range []*testGuest{
		{traits: delegation.Traits{Fingerprint: "1"}, fail: fail},
		{},
		{traits: delegation.Traits{Fingerprint: "1", Claim: "{http.request.header.X}"}},
	} {
		if _, err := openProvider("a", g, appServices{}, zap.NewNop()); err == nil {
			t.Error("it was opened")
		}
	}
	if poolSize() != before {
		t.Errorf("%d entries are left in the pool", poolSize()-before)
	}
}
