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
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// The settings of a child of this test that refreshes people's tokens until it is
// killed: the issuer's address, the database (a file, or an address of PostgreSQL),
// the file of the keyset, and the beginning of the people's names.
const (
	refreshIssuer   = "GRANTS_TEST_ISSUER"
	refreshDatabase = "GRANTS_TEST_DATABASE"
	refreshKeyset   = "GRANTS_TEST_KEYSET"
	refreshPeople   = "GRANTS_TEST_PEOPLE"
)

// The people of one round, and the two kinds of platform that they have.
const peopleOfRound = 10

var refreshKinds = []string{"grace", "strict"}

func refreshName(round string, n int) string {
	return fmt.Sprintf("%s-%s-%d", refreshKinds[n%2], round, n)
}

// refreshUntilKilled refreshes one person's tokens after the other, and says so once
// each is acknowledged.
func refreshUntilKilled() error {
	text, err := os.ReadFile(os.Getenv(refreshKeyset))
	if err != nil {
		return err
	}
	at := Options{}
	if at.Keyset, err = keyset.Parse(string(text)); err != nil {
		return err
	}
	if at.Postgres = os.Getenv(refreshDatabase); !strings.HasPrefix(at.Postgres, "postgres") {
		at.File, at.Postgres = at.Postgres, ""
	}
	s, err := Open(context.Background(), at)
	if err != nil {
		return err
	}
	for n := range peopleOfRound {
		who := refreshName(os.Getenv(refreshPeople), n)
		if _, err := s.RefreshGrant(context.Background(), owner(who), newIssuer(false).tokens(who, 0).Access, callTimeout, spendByHTTP); err != nil {
			return err
		}
		fmt.Println(who)
	}
	return nil
}

func spendByHTTP(ctx context.Context, g *delegation.Grant, _ bool) (*delegation.GrantTokens, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv(refreshIssuer)+"?"+url.Values{"token": {g.Tokens.Refresh.Reveal()}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, delegation.Refuse(delegation.IssuerUnavailable, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, delegation.Refuse(delegation.DelegationRefused, err)
	}
	access, refresh, _ := strings.Cut(string(text), " ")
	return &delegation.GrantTokens{Access: delegation.NewSecret(access), Refresh: delegation.NewSecret(refresh)}, nil
}

// TestKilledDuringRefresh protects people's consents from a process that is killed
// between the platform's answer and the commit. With a platform that answers a spent
// token once more nobody is lost. With one that does not each is tried at most once
// more, and whoever is lost is suspended and so asked to consent anew; and nobody is
// lost whose refresh was acknowledged. REFRESH_KILLS=200 has it do as many rounds.
func TestKilledDuringRefresh(t *testing.T) {
	rounds := numberOf(t, "REFRESH_KILLS", 10)
	each(t, func(t *testing.T, at Options) {
		keys := filepath.Join(t.TempDir(), "keys")
		if err := at.Keyset.(*keyset.Keyset).Create(keys); err != nil {
			t.Fatal(err)
		}
		issuers := map[string]*issuer{"grace": newIssuer(true), "strict": newIssuer(false)}
		s := opened(t, at)
		for round := range rounds {
			for n := range peopleOfRound {
				who := refreshName(strconv.Itoa(round), n)
				oauthGrants(t, s, issuers[refreshKinds[n%2]], who)
			}
		}
		var children victims
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := r.FormValue("token")
			kind, _, _ := strings.Cut(token, "-")
			tokens, err := issuers[kind].refresh(token)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			children.answered()
			_, _ = io.WriteString(w, tokens.Access.Reveal()+" "+tokens.Refresh.Reveal())
		}))
		defer server.Close()
		var acknowledged []string
		for round := range rounds {
			acknowledged = append(acknowledged, children.run(t, refreshIssuer+"="+server.URL, refreshDatabase+"="+at.File+at.Postgres, refreshKeyset+"="+keys, refreshPeople+"="+strconv.Itoa(round))...)
		}
		for _, who := range acknowledged {
			kind, _, _ := strings.Cut(who, "-")
			hasTokens(t, s, issuers[kind], who, 1)
		}
		lapse(t, s)
		afterKills(t, s, issuers, rounds, len(acknowledged))
	})
}

// afterKills refreshes everybody by another machine.
func afterKills(t *testing.T, s *Store, issuers map[string]*issuer, rounds, acknowledged int) {
	t.Helper()
	cut, lost := map[string]int{}, map[string]int{}
	for round := range rounds {
		for n := range peopleOfRound {
			kind, who := refreshKinds[n%2], refreshName(strconv.Itoa(round), n)
			i := issuers[kind]
			was := i.of(who).n // 1 if the platform has answered
			if found(t, s, who).Tokens.Refresh.Reveal() == i.tokens(who, 0).Refresh.Reveal() && was == 1 {
				cut[kind]++
			}
			told := false
			g, err := s.RefreshGrant(t.Context(), owner(who), i.tokens(who, 0).Access, callTimeout, func(ctx context.Context, g *delegation.Grant, uncertain bool) (*delegation.GrantTokens, error) {
				told = uncertain
				return i.spend(ctx, g, uncertain)
			})
			if err == nil {
				if !i.accepts(who, g.Tokens.Access) {
					t.Errorf("%s has a token that the platform does not accept", who)
				}
				continue
			}
			if r, ok := errors.AsType[*delegation.Refusal](err); !ok || r.Code != delegation.DelegationRefused || !told || g == nil {
				t.Fatalf("%s: %v; told that the token may be spent: %v", who, err, told)
			}
			lost[kind]++
			if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
				t.Errorf("%s: %v %v", who, done, err)
			}
			if _, err := refreshed(s, i, who); !errors.Is(err, ErrSuspended) || i.of(who).late[0] > 1 {
				t.Errorf("%s: %v; the spent token came %d times again", who, err, i.of(who).late[0])
			}
		}
	}
	if lost["grace"] != 0 || lost["strict"] != cut["strict"] {
		t.Errorf("lost: %v; killed between the answer and the commit: %v", lost, cut)
	}
	t.Logf("%d rounds, %d acknowledged, killed between the answer and the commit: %v, lost: %v", rounds, acknowledged, cut, lost)
}
