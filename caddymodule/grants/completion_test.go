// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
)

var (
	originNames     = []string{"connect here", "connect anywhere", "update"}
	ownershipNames  = []string{"nothing", "active same", "active same newer", "active other", "active other newer", "suspended same", "suspended same newer", "suspended other"}
	probeNames      = []string{"accepted", "unknown", "refused"}
	completionNames = []string{"use proven", "use unproven", "use suspended", "keep retired", "drop older", "drop update", "drop other account"}
)

// completionCase is one cell of [consent.Complete], with people and accounts of its own.
type completionCase struct {
	origin    consent.Origin
	owns      consent.Ownership
	probe     ProbeResult
	foreign   bool // the account of the result belongs to somebody else
	who       string
	own, came string // the account that the owner has, and that of the result
}

func (c *completionCase) newer() bool {
	return c.owns == consent.OwnsActiveSameNewer || c.owns == consent.OwnsActiveOtherNewer || c.owns == consent.OwnsSuspendedSameNewer
}

func (c *completionCase) suspended() bool { return c.owns >= consent.OwnsSuspendedSame }

func (c *completionCase) same() bool { return c.own == c.came && c.owns != consent.OwnsNothing }

// prepare brings a flow to where it can be completed: its owner has a grant with
// the secret "before", and its result the secret "after".
func (c *completionCase) prepare(t *testing.T, s *Store) *Flow {
	t.Helper()
	f := newFlow(c.who)
	switch c.origin {
	case consent.ConnectAnywhere:
		f.AnyBrowser = true
	case consent.Update:
		f.Kind = FlowUpdate
		connected(t, s, c.who, c.own, "begun with") // an update needs a grant to begin
	}
	begun(t, s, f)
	own := func() {
		connected(t, s, c.who, c.own, "before")
		if c.suspended() {
			suspend(t, s, c.who)
		}
	}
	stage := func() {
		want(t, "staging", s.Stage(t.Context(), "mydex", "", f.CorrelationID.Reveal(), pendingResult(c.came, "after")), nil)
	}
	switch {
	case c.owns == consent.OwnsNothing:
		stage()
		alter(t, s, "DELETE FROM grants WHERE person = '"+s.ownerPseudonym(owner(c.who))+"'")
	case c.newer():
		stage()
		own()
	default:
		own()
		stage()
	}
	if c.foreign {
		connected(t, s, "owner of "+c.came, c.came, "foreign")
	}
	return f
}

// statesOf returns the states of somebody's grants by their secrets.
func statesOf(t *testing.T, s *Store, who string) map[string]State {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT id FROM grants WHERE person = '"+s.ownerPseudonym(owner(who))+"'")
	ids, err := scanStrings(rows, err)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]State)
	for _, id := range ids {
		if err := s.read(t.Context(), "", func(ctx context.Context, db querier) error {
			g, err := s.byID(ctx, db, id)
			if err == nil {
				found[g.Secret.Reveal()] = g.State
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestCompletions runs every cell of [consent.Complete] against a database, with an
// account that is free and with one that belongs to somebody else. It protects
// those who run the table from a code that does something else, and the promises
// of the table's comment from a cell that breaks them.
func TestCompletions(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		n := 0
		for origin := range originNames {
			for owns := range ownershipNames {
				row := consent.Complete(consent.Origin(origin), consent.Ownership(owns))
				for probe, done := range row {
					for _, foreign := range []bool{false, true} {
						n++
						c := &completionCase{
							origin: consent.Origin(origin), owns: consent.Ownership(owns), probe: ProbeResult(probe), foreign: foreign,
							who: fmt.Sprintf("user %d", n), own: fmt.Sprintf("own %d", n), came: fmt.Sprintf("own %d", n),
						}
						switch c.owns {
						case consent.OwnsActiveOther, consent.OwnsActiveOtherNewer, consent.OwnsSuspendedOther:
							c.came = fmt.Sprintf("came %d", n)
						case consent.OwnsNothing:
						default:
							if foreign {
								continue // it is the owner's own
							}
						}
						t.Run(fmt.Sprintf("%s/%s/%s/%t", originNames[origin], ownershipNames[owns], probeNames[probe], foreign), func(t *testing.T) {
							c.run(t, s, done, row.NeedsProbe())
						})
					}
				}
			}
		}
	})
}

func (c *completionCase) run(t *testing.T, s *Store, done consent.Completion, needsProbe bool) {
	f := c.prepare(t, s)
	before := statesOf(t, s, c.who)["before"]
	probes := 0
	ret := f.returned()
	ret.Probe = func(_ context.Context, g *Grant, hasActive bool) ProbeResult {
		probes++
		if g.Account != c.came || g.Secret.Reveal() != "after" || hasActive != (before == Active) {
			t.Errorf("probed %+v, hasActive %t", g, hasActive)
		}
		return c.probe
	}
	g, first, err := s.Complete(t.Context(), ret)
	after := statesOf(t, s, c.who)

	wantErr, wantFirst := error(nil), true
	wantBefore, wantAfter := before, State("") // of the two secrets
	switch done {
	case consent.UseProven:
		if wantAfter = Active; c.same() {
			wantBefore = ""
		} else if before != "" {
			wantBefore = Retired
		}
	case consent.UseUnproven:
		if wantAfter = Active; before != "" {
			wantBefore = Retired
		}
	case consent.UseSuspended:
		if wantErr, wantAfter = ErrProbeRefused, Suspended; before != "" {
			wantBefore = Retired
		}
	case consent.KeepRetired:
		wantErr, wantAfter = ErrProbeRefused, Retired
	case consent.DropOlder:
		wantFirst = false
	case consent.DropUpdate:
		wantErr = ErrNotFound
	case consent.DropOtherAccount:
		wantErr = ErrOtherAccount
	}
	if c.foreign && (done == consent.UseProven || done == consent.UseUnproven || done == consent.UseSuspended) {
		if wantBefore, wantAfter = before, Conflict; done != consent.UseSuspended {
			wantErr = ErrConflict
		}
	}
	if want(t, completionNames[done], err, wantErr); first != wantFirst {
		t.Errorf("%s: first is %t", completionNames[done], first)
	}
	if after["before"] != wantBefore || after["after"] != wantAfter {
		t.Errorf("%s: before is %q, want %q; after is %q, want %q", completionNames[done], after["before"], wantBefore, after["after"], wantAfter)
	}
	if (probes == 1) != needsProbe || probes > 1 {
		t.Errorf("probed %d times", probes)
	}
	if done == consent.DropOlder && (g == nil || g.Secret.Reveal() != "before") {
		t.Errorf("an older tab is told of %+v", g)
	}
	if c.foreign {
		holds(t, s, "owner of "+c.came, c.came, "foreign")
	}
	c.promises(t, before, after)

	// It is over: nothing changes, and nobody is asked.
	if _, again, _ := s.Complete(t.Context(), ret); again && wantFirst {
		t.Error("it has ended twice")
	}
	if now := statesOf(t, s, c.who); (probes == 1) != needsProbe || len(now) != len(after) {
		t.Errorf("again: %d probes, %v", probes, now)
	}
}

// promises are those of the table's comment, whatever its cells say.
func (c *completionCase) promises(t *testing.T, before State, after map[string]State) {
	t.Helper()
	refused := c.probe == ProbeRefused
	switch {
	case refused && after["after"] == Active:
		t.Error("a refused credential is in use")
	case refused && before == Active && after["before"] != Active:
		t.Error("a grant that works was given up for a refused credential")
	case before != "" && after["before"] == "" && (c.probe != ProbeAccepted || !c.same()):
		t.Error("a credential is lost that nothing has replaced")
	case c.origin != consent.ConnectHere && !c.same() && before != "" && after["before"] != before:
		t.Error("an update, or a link that anybody may have opened, has replaced the account")
	case c.origin == consent.Update && c.owns == consent.OwnsNothing && after["after"] != "":
		t.Error("an update has connected somebody")
	case c.newer() && before == Active && after["before"] != Active:
		t.Error("an older tab has replaced what was consented to later")
	}
}
