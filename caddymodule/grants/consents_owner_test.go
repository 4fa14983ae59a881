// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// strangers are a few people and two machines, between which everything that they
// hold is mixed up: sessions, cookies, states, tickets and tokens.
type strangers struct {
	*desk
	rand     *rand.Rand
	machines []*Consents
	flows    []strangeFlow
	owners   map[string]map[string]bool // of an account: who began a flow with which a token of it was handed over
}

// strangeFlow is a flow with who has begun it.
type strangeFlow struct {
	name string
	*Started
	correlationID string
}

var strangerNames = []string{"alice", "bob", "carol"}

func (s *strangers) pick(names []string) string { return names[s.rand.IntN(len(names))] }
func (s *strangers) machine() *Consents         { return s.machines[s.rand.IntN(len(s.machines))] }
func (s *strangers) flow() strangeFlow          { return s.flows[s.rand.IntN(len(s.flows))] }

// token is one of few, so that it comes again, in whatever flow.
func (s *strangers) token() string { return fmt.Sprintf("%d-%d", s.rand.IntN(4), s.rand.IntN(8)) }

// handed notes that a token of an account was handed over in somebody's flow.
func (s *strangers) handed(token, name string) {
	account, _, _ := strings.Cut(token, "-")
	if s.owners[account] == nil {
		s.owners[account] = make(map[string]bool)
	}
	s.owners[account][name] = true
}

// event is one of those that can happen in a flow of a kind.
func (s *strangers) event(kind string) {
	t := s.t
	if len(s.flows) < 2 || s.rand.IntN(4) == 0 {
		name := s.pick(strangerNames)
		native := kind == "page" && s.rand.IntN(3) == 0
		started, err := s.machine().Start(t.Context(), StartRequest{Person: person(name), ReturnURL: "https://app.test/return", Native: native})
		if err != nil {
			t.Fatal(err)
		}
		s.flows = append(s.flows, strangeFlow{name, started, s.lastStart().CorrelationID.Reveal()})
		return
	}
	f, cookie, token, signedIn := s.flow(), s.flow(), s.token(), s.pick(strangerNames)
	if s.rand.IntN(2) == 0 { // as it should be
		cookie, signedIn = f, f.name
	}
	r := ReturnRequest{Person: person(signedIn), State: f.State.Reveal(), BrowserToken: cookie.BrowserToken.Reveal()}
	switch n := s.rand.IntN(10); {
	case n == 0:
		_, _ = s.machine().Withdraw(t.Context(), person(signedIn))
	case n == 1:
		r.Query = map[string][]string{"error": {"access_denied"}}
		_, _ = s.machine().HandleReturn(t.Context(), r)
	case n == 2:
		r.Person = delegation.Person{}
		fallthrough
	case kind == "redirect" && n < 8:
		if kind == "redirect" {
			s.handed(token, f.name)
			r.Query = withCode(token)
		}
		_, _ = s.machine().HandleReturn(t.Context(), r)
	case kind == "callback" && n < 6:
		s.handed(token, f.name)
		_ = s.callback(f.correlationID, token[:1], token)
	case kind == "page" && n < 8:
		request := RedeemRequest{Person: person(signedIn), BrowserToken: cookie.BrowserToken.Reveal(), Handed: withCode(token)}
		owner := signedIn // of the flow that their page has begun, if any
		if f.Ticket.Reveal() != "" {
			request.Ticket, owner = f.Ticket.Reveal(), f.name
		}
		s.handed(token, owner)
		_, _ = s.machine().Redeem(t.Context(), request)
	default:
		_, _ = s.machine().HandleReturn(t.Context(), r)
	}
}

// check wants each grant to belong to who began a flow with which a token of its
// account was handed over, and no account to two people.
func (s *strangers) check() {
	s.t.Helper()
	seen := make(map[string]string)
	for _, name := range strangerNames {
		account := accountOf(s.t, s.machines[0], name)
		if account == "" {
			continue
		}
		if other, twice := seen[account]; twice || !s.owners[account][name] {
			s.t.Fatalf("%s acts as %s, which belongs to %v, or to %s", name, account, slices.Collect(maps.Keys(s.owners[account])), other)
		}
		seen[account] = name
	}
}

// TestOwnerProperty protects everybody from everybody else, whatever the order of
// events: a grant's owner is who began the flow with which the token was handed
// over, and an account is one person's.
func TestOwnerProperty(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		connectedOnce := 0
		for i, kind := range []string{"callback", "redirect", "page"} {
			s := &strangers{desk: newDesk(t, at, kind), rand: rand.New(rand.NewPCG(uint64(i), 7)), owners: make(map[string]map[string]bool)}
			other, _ := s.desk.machine(at, kind)
			s.machines = []*Consents{s.Consents, other}
			s.answer = func(r *delegation.Redemption) error {
				account, _, _ := strings.Cut(r.Token.Reveal(), "-")
				if !s.owners[account][r.Subject] {
					t.Errorf("a token is redeemed for %s, in whose flow it was not handed over", r.Subject)
				}
				return s.platformSays()
			}
			for range 120 {
				s.event(kind)
				for _, m := range s.machines {
					m.Forget(delegation.Selection{})
				}
				s.check()
			}
			for _, name := range strangerNames {
				if s.account(name) != "" {
					connectedOnce++
				}
				if _, err := s.Withdraw(t.Context(), person(name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if connectedOnce == 0 {
			t.Error("nobody was ever connected: the test protects nothing")
		}
	})
}

// platformSays is the platform's answer: mostly a result.
func (s *strangers) platformSays() error {
	switch s.rand.IntN(6) {
	case 0:
		return delegation.Refuse(delegation.TokenRejected, nil)
	case 1:
		return delegation.Refuse(delegation.IssuerUnavailable, nil)
	default:
		return nil
	}
}
