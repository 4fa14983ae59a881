// SPDX-License-Identifier: Apache-2.0

// Not with the race detector: so many timers in a bubble have ended the process in Go's
// own runtime, see package grants.

//go:build !race

package scale

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// crowd is how many people a simulation has in the usual run; SCALE is another number.
const crowd = 2_000

func people(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SCALE")
	if text == "" {
		return crowd
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// issuer mints tokens in 50 ms, and counts.
type issuer struct {
	life  time.Duration
	mints atomic.Int64
	waits atomic.Int64
}

func (i *issuer) Mint(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
	time.Sleep(50 * time.Millisecond)
	i.mints.Add(1)
	now := time.Now()
	return &delegation.Token{Access: delegation.NewSecret("0123456789abcdef0123456789abcdef"), Minted: now, Expires: now.Add(i.life)}, nil
}

func (*issuer) Forget(delegation.Selection) {}

func (i *issuer) ObserveRequest(result tokens.RequestResult) {
	if result == tokens.RequestWaited {
		i.waits.Add(1)
	}
}

func (*issuer) BeginMint(ctx context.Context, _ *delegation.Identity, _ tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	return ctx, func(*delegation.Token, error) {}
}

// simulate has people come for a day, after a day in which the engine fills, and
// counts what the real engine does for them.
func simulate(t *testing.T, u Use) (l Load) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: u.Life}
		engine := tokens.New(tokens.Options{MaxEntries: 2 * u.People})
		view := engine.Attach(i)
		var calls, failed atomic.Int64
		visit := func(person int) {
			id := delegation.Identity{Provider: "platform", Person: delegation.Person{Realm: "app", Subject: strconv.Itoa(person)}}
			for n := range u.Calls {
				if n > 0 {
					time.Sleep(u.Stay / time.Duration(u.Calls-1))
				}
				calls.Add(1)
				if _, _, err := view.Get(context.Background(), id); err != nil {
					failed.Add(1)
				}
			}
		}
		begin := time.Now()
		random := rand.New(rand.NewPCG(1, 2))
		most := float64(u.People) * u.Visits / day.Seconds() * (1 + u.Swing)
		for lap := range 2 {
			i.mints.Store(0)
			i.waits.Store(0)
			calls.Store(0)
			hourStart, hour := int64(0), 1
			l = Load{}
			for {
				time.Sleep(time.Duration(random.ExpFloat64() / most * float64(time.Second)))
				at := time.Since(begin) - time.Duration(lap)*day
				for ; at >= time.Duration(hour)*time.Hour; hour++ { // the busiest hour is around a quarter of the day
					n := i.mints.Load()
					l.PeakMints = max(l.PeakMints, float64(n-hourStart)/3600)
					hourStart = n
					l.Tokens = max(l.Tokens, float64(engine.Status().Entries))
				}
				if at >= day {
					break
				}
				if random.Float64()*most < float64(u.People)*u.visits(at) {
					go visit(random.IntN(u.People))
				}
			}
		}
		l.Calls, l.Mints, l.Waits = float64(calls.Load()), float64(i.mints.Load()), float64(i.waits.Load())
		time.Sleep(day) // who is there leaves
		if n := failed.Load(); n > 0 {
			t.Errorf("%d calls failed", n)
		}
	})
	return l
}

// TestModel protects who plans a fleet by the page on scale: what the model says of the
// issuer's calls, of waiting and of memory is what the engine does, within a few percent.
func TestModel(t *testing.T) {
	n := people(t)
	for name, u := range map[string]Use{
		"an app of daily visits, tokens of an hour":     {People: n, Visits: 2, Stay: 10 * time.Minute, Calls: 11, Swing: 0.8, Life: time.Hour},
		"short tokens, long visits":                     {People: n, Visits: 2, Stay: 30 * time.Minute, Calls: 31, Swing: 0.5, Life: 15 * time.Minute},
		"an app that is looked at all day, long tokens": {People: n, Visits: 24, Stay: 2 * time.Minute, Calls: 3, Swing: 0.8, Life: 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := Predict(u), simulate(t, u)
			for _, figure := range []struct {
				name      string
				want, got float64
			}{
				{"calls", want.Calls, got.Calls},
				{"mints", want.Mints, got.Mints},
				{"calls that wait", want.Waits, got.Waits},
				{"mints a second, busiest hour", want.PeakMints, got.PeakMints},
				{"tokens in memory", want.Tokens, got.Tokens},
			} {
				off := (figure.want - figure.got) / figure.got
				// Chance alone makes figures of few people differ.
				t.Logf("%-36s model %12.1f, engine %12.1f: %+.1f %%", figure.name, figure.want, figure.got, 100*off)
				if math.Abs(off) > 0.05+3/math.Sqrt(math.Max(1, figure.got)) {
					t.Errorf("%s: the model says %.1f, the engine has %.1f", figure.name, figure.want, figure.got)
				}
			}
		})
	}
}
