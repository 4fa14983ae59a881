// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// guest is a provider that keeps state and may fail to open.
type guest struct {
	delegation.Provider
	traits delegation.Traits
	fail   error
	state  io.Closer
	built  *closer
}

type closer struct{ closed int }

func (c *closer) Close() error { c.closed++; return nil }

func (g *guest) Traits() delegation.Traits { return g.traits }

func (g *guest) Open(host delegation.Host) error {
	g.state = host.State("key", func() io.Closer { g.built = new(closer); return g.built })
	return g.fail
}

func (*guest) Forget(delegation.Selection) {}

func references() int {
	n := 0
	pool.Range(func(any, any) bool { n++; return true })
	return n
}

// TestStateIsShared protects the warmth of a cache over reloads, and providers
// from each other: state belongs to one name and kind, and ends with the last
// configuration that uses it.
func TestStateIsShared(t *testing.T) {
	before := references()
	same := delegation.Traits{Fingerprint: "1"}
	first, second, other := &guest{traits: same}, &guest{traits: same}, &guest{traits: same}
	a, err := openProvider("a", first, common{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	again, _ := openProvider("a", second, common{}, zap.NewNop())
	b, _ := openProvider("b", other, common{}, zap.NewNop())
	if second.state != first.state || again.shared != a.shared || second.built != nil {
		t.Error("the same provider of the next configuration starts cold")
	}
	if other.state == first.state || b.shared == a.shared {
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
	if references() != before {
		t.Errorf("%d entries are left in the pool", references()-before)
	}
}

// TestFailedOpenLetsGo protects memory, and the balance of the pool, from
// configurations that do not load.
func TestFailedOpenLetsGo(t *testing.T) {
	before := references()
	fail := errors.New("no")
	for _, g := range []*guest{
		{traits: delegation.Traits{Fingerprint: "1"}, fail: fail},
		{},
		{traits: delegation.Traits{Fingerprint: "1", Claim: "{http.request.header.X}"}},
	} {
		if _, err := openProvider("a", g, common{}, zap.NewNop()); err == nil {
			t.Error("it was opened")
		}
	}
	if references() != before {
		t.Errorf("%d entries are left in the pool", references()-before)
	}
}
