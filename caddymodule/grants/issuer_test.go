// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// issuer is a platform whose refresh tokens work once. One that comes again is
// taken for stolen, and ends the consent (RFC 9700 section 4.14.2); with grace the
// last one is answered again as it was the first time.
type issuer struct {
	grace bool

	mu       sync.Mutex
	consents map[string]*issued
	calls    int
	reused   int
}

// issued is what an issuer has given one person. The n-th refresh token is "who/n", the
// access token issued with it "who/access/n".
type issued struct {
	n     int
	ended bool
	late  map[int]int // how often each spent token has come again
}

func newIssuer(grace bool) *issuer { return &issuer{grace: grace, consents: make(map[string]*issued)} }

func (i *issuer) tokens(who string, n int) *delegation.GrantTokens {
	return &delegation.GrantTokens{
		Access: delegation.NewSecret(fmt.Sprintf("%s/access/%d", who, n)), AccessExpires: time.Now().Add(time.Hour).Truncate(time.Millisecond),
		Refresh: delegation.NewSecret(fmt.Sprintf("%s/%d", who, n)),
	}
}

var errInvalidGrant = errors.New("invalid_grant")

// refresh answers a refresh token.
func (i *issuer) refresh(token string) (*delegation.GrantTokens, error) {
	who, number, _ := strings.Cut(token, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	c := i.of(who)
	if n < c.n {
		c.late[n]++
	}
	switch {
	case c.ended:
	case n == c.n:
		c.n++
		return i.tokens(who, c.n), nil
	case i.grace && n == c.n-1:
		return i.tokens(who, c.n), nil
	default:
		i.reused++
		c.ended = true
	}
	return nil, delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
}

func (i *issuer) of(who string) *issued {
	if i.consents[who] == nil {
		i.consents[who] = &issued{late: make(map[int]int)}
	}
	return i.consents[who]
}

// spend is the [delegation.Spend] of a provider of this issuer.
func (i *issuer) spend(_ context.Context, g *delegation.Grant, _ bool) (*delegation.GrantTokens, error) {
	return i.refresh(g.Tokens.Refresh.Reveal())
}

// counts returns how many calls there were, and how many with a token that had been
// spent.
func (i *issuer) counts() (calls, reused int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls, i.reused
}

// accepts tells whether an access token is the last one that was issued to
// somebody.
func (i *issuer) accepts(who string, access delegation.Secret) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.of(who)
	return !c.ended && access.Reveal() == i.tokens(who, c.n).Access.Reveal()
}

// oauthGrants writes grants with the first tokens of an issuer.
func oauthGrants(t testing.TB, s *Store, i *issuer, people ...string) (all []*Grant) {
	t.Helper()
	if err := s.write(t.Context(), "filling", func(ctx context.Context, tx querier) error {
		for _, who := range people {
			now := time.Now()
			g := &Grant{ID: newID(), Owner: owner(who), Account: "account-" + who, State: Active, Tokens: *i.tokens(who, 0), Created: now, Changed: now}
			if err := s.insert(ctx, tx, g); err != nil {
				return err
			}
			all = append(all, g)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// oauthGrant is oauthGrants for one person, and returns the grant as the database
// has it.
func oauthGrant(t testing.TB, s *Store, i *issuer, who string) *Grant {
	t.Helper()
	oauthGrants(t, s, i, who)
	return found(t, s, who)
}

func found(t testing.TB, s *Store, who string) *Grant {
	t.Helper()
	g, err := s.Find(context.Background(), owner(who))
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	return g
}

// callTimeout is that of the calls in these tests, which take no time.
const callTimeout = time.Second

// refreshed has somebody's first access token refused.
func refreshed(s *Store, i *issuer, who string) (*Grant, error) {
	return s.RefreshGrant(context.Background(), owner(who), i.tokens(who, 0).Access, callTimeout, i.spend)
}

// hasTokens wants somebody to have the n-th tokens.
func hasTokens(t testing.TB, s *Store, i *issuer, who string, n int) {
	t.Helper()
	if g := found(t, s, who); g.Tokens.Refresh.Reveal() != i.tokens(who, n).Refresh.Reveal() || g.Tokens.Access.Reveal() != i.tokens(who, n).Access.Reveal() {
		t.Errorf("%s has %s, %s; want the tokens of %d", who, g.Tokens.Access.Reveal(), g.Tokens.Refresh.Reveal(), n)
	}
}

// lapse has the lease of every grant end: the time until then is the database's.
func lapse(t *testing.T, s *Store) { t.Helper(); alter(t, s, "UPDATE grants SET lease_until = 1") }

// stagedTokens is a consent of somebody that has led to other tokens, and does not
// count yet.
func stagedTokens(t *testing.T, s *Store, who string, tokens delegation.GrantTokens) *Flow {
	t.Helper()
	f := begun(t, s, newFlow(who))
	want(t, "staged", s.Stage(context.Background(), f.Provider, f.Source, f.CorrelationID.Reveal(), PendingResult{Account: "account-" + who, Tokens: tokens}), nil)
	return f
}
