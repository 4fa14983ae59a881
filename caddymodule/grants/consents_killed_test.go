// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// The settings of a child of this test that connects people until it is killed: the
// platform's address, the database (a file, or an address of PostgreSQL), the file of
// the keyset, and the round.
const (
	connectPlatform = "GRANTS_TEST_PLATFORM"
	connectDatabase = "GRANTS_TEST_CONNECT_DATABASE"
	connectKeyset   = "GRANTS_TEST_CONNECT_KEYSET"
	connectRound    = "GRANTS_TEST_ROUND"
)

// connectName is the n-th person of a round, and the account that is theirs.
func connectName(round string, n int) string { return round + "." + strconv.Itoa(n) }

// browserOf is the token that somebody's browser has.
func browserOf(who string) delegation.Secret {
	return delegation.NewSecret(who + strings.Repeat("B", 26-len(who)))
}

// exchange is a provider whose platform is at an address. A token is the account, a
// hyphen and a word, and is redeemed once.
type exchange struct {
	*platform
	url string
}

func (e *exchange) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"?"+url.Values{"token": {r.Token.Reveal()}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, delegation.Refuse(delegation.IssuerUnavailable, err)
	}
	defer func() { _ = res.Body.Close() }()
	account, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, delegation.Refuse(delegation.TokenRejected, err)
	}
	return &delegation.ConsentResult{Account: string(account), Secret: delegation.NewSecret("key-" + string(account))}, nil
}

// connectingDesk opens consents with that platform.
func connectingDesk(at Options, address string) *Consents {
	e := &exchange{&platform{widget: true}, address}
	return NewConsents(ConsentsOptions{
		Provider: "mydex", Store: NewLazyStore(at.File, func() (Options, error) { return at, nil }), Cache: NewCache(),
		Starter: e, Redeemer: e, Decoder: e, Note: func(delegation.ConsentEvent, delegation.Person) {}, CallTimeout: time.Minute,
	})
}

// connects has a person begin a flow and hand over a token.
func connects(c *Consents, who, word string) (*Redeemed, error) {
	if _, err := c.Start(context.Background(), StartRequest{Person: person(who), BrowserToken: browserOf(who), ReturnURL: "https://app.test/return"}); err != nil {
		return nil, err
	}
	return handsOver(c, who, word)
}

func handsOver(c *Consents, who, word string) (*Redeemed, error) {
	return c.Redeem(context.Background(), RedeemRequest{Person: person(who), BrowserToken: browserOf(who).Reveal(), Handed: url.Values{"code": {who + "-" + word}}})
}

// connectUntilKilled connects one person after the other, and says so once each is
// acknowledged.
func connectUntilKilled() error {
	text, err := os.ReadFile(os.Getenv(connectKeyset))
	if err != nil {
		return err
	}
	at := Options{}
	if at.Keyset, err = keyset.Parse(string(text)); err != nil {
		return err
	}
	if at.Postgres = os.Getenv(connectDatabase); !strings.HasPrefix(at.Postgres, "postgres") {
		at.File, at.Postgres = at.Postgres, ""
	}
	c := connectingDesk(at, os.Getenv(connectPlatform))
	for n := range peopleOfRound {
		who := connectName(os.Getenv(connectRound), n)
		if _, err := connects(c, who, "first"); err != nil {
			return err
		}
		fmt.Println(who)
	}
	return nil
}

// redeeming is a platform that redeems each token once, and has a child killed after
// some answers.
type redeeming struct {
	victims
	mu     sync.Mutex
	tokens map[string]bool // that were redeemed
}

func (p *redeeming) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.FormValue("token")
	p.mu.Lock()
	before := p.tokens[token]
	p.tokens[token] = true
	p.mu.Unlock()
	if before {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.answered()
	account, _, _ := strings.Cut(token, "-")
	_, _ = io.WriteString(w, account)
}

func (p *redeeming) hasRedeemed(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens[token]
}

// TestKilledDuringConnect protects people from a process that is killed between the
// platform's answer, which cannot be had again, and the commit: whoever was told that
// they are connected is, everybody else is connected or has nothing, and can connect,
// in the same flow or in a new one. CONNECT_KILLS=200 has it do as many rounds.
func TestKilledDuringConnect(t *testing.T) {
	rounds := numberOf(t, "CONNECT_KILLS", 8)
	each(t, func(t *testing.T, at Options) {
		keys := filepath.Join(t.TempDir(), "keys")
		if err := at.Keyset.(*keyset.Keyset).Create(keys); err != nil {
			t.Fatal(err)
		}
		p := &redeeming{tokens: make(map[string]bool)}
		server := httptest.NewServer(p)
		defer server.Close()
		s := opened(t, at)
		acknowledged := make(map[string]bool)
		for round := range rounds {
			for _, who := range p.run(t, connectPlatform+"="+server.URL, connectDatabase+"="+at.File+at.Postgres, connectKeyset+"="+keys, connectRound+"="+strconv.Itoa(round)) {
				acknowledged[who] = true
			}
		}
		alter(t, s, "UPDATE journeys SET claim_until = 1 WHERE claim_until > 0") // time goes by
		connectAfterKills(t, at, server.URL, p, acknowledged, rounds)
	})
}

// connectAfterKills looks at everybody, and has those connect who are not.
func connectAfterKills(t *testing.T, at Options, address string, p *redeeming, acknowledged map[string]bool, rounds int) {
	t.Helper()
	c := connectingDesk(at, address)
	t.Cleanup(func() { _ = c.o.Store.Close() })
	s, err := c.o.Store.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	untold, cut, same := 0, 0, 0
	for round := range rounds {
		for n := range peopleOfRound {
			who := connectName(strconv.Itoa(round), n)
			g, err := s.Find(t.Context(), owner(who))
			switch {
			case err == nil && (g.Account != who || g.State != Active):
				t.Errorf("%s has %s, %s", who, g.Account, g.State)
			case err == nil && !acknowledged[who]:
				untold++
			case err != nil && (!errors.Is(err, ErrNotFound) || acknowledged[who]):
				t.Errorf("%s: %v; told that they are connected: %v", who, err, acknowledged[who])
			}
			if err == nil {
				continue
			}
			word := "second"
			if p.hasRedeemed(who + "-first") {
				cut++
				// Nobody else has what was lost; the flow itself may ask, and is told
				// that the token is used up. Then it takes another.
				if _, err := connects(c, "mallory", strconv.Itoa(cut)); err != nil {
					t.Error(err)
				}
				stolen := RedeemRequest{Person: person("mallory"), BrowserToken: browserOf("mallory").Reveal(), Handed: url.Values{"code": {who + "-first"}}}
				if _, err := c.Redeem(t.Context(), stolen); err == nil {
					t.Errorf("another person has redeemed the token of %s", who)
				}
				if _, err := c.Withdraw(t.Context(), person("mallory")); err != nil {
					t.Error(err)
				}
				if _, err := handsOver(c, who, "first"); code(err) != delegation.TokenRejected {
					t.Errorf("%s, the same token again: %v", who, err)
				}
				if round%2 == 0 {
					same++
					if _, err := handsOver(c, who, word); err != nil {
						t.Errorf("%s, in the same flow: %v", who, err)
					}
				}
			}
			if _, err := s.Find(t.Context(), owner(who)); err != nil {
				if _, err := connects(c, who, word); err != nil {
					t.Errorf("%s, in a new flow: %v", who, err)
				}
			}
			holds(t, s, who, who, "key-"+who)
		}
	}
	if list := all(t, s); len(list) != rounds*peopleOfRound {
		t.Errorf("%d grants of %d people", len(list), rounds*peopleOfRound)
	}
	t.Logf("%d rounds: %d acknowledged, %d connected without being told, %d killed between the answer and the commit, %d of them connected in the same flow",
		rounds, len(acknowledged), untold, cut, same)
}
