// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/patrickmn/go-cache"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestHasEnoughLife protects the platform from an SDK that renews 120 s before
// the expiry, and at once for less: a token it would come back for before half
// of its useful life has gone is not handed out again.
func TestHasEnoughLife(t *testing.T) {
	for _, c := range []struct {
		life, age time.Duration
		want      bool
	}{
		{time.Hour, 0, true},
		{time.Hour, 55 * time.Minute, true},
		{time.Hour, 55*time.Minute + time.Second, false}, // 300 s remain
		{480 * time.Second, 180 * time.Second, true},     // 60 s + half the life
		{480 * time.Second, 181 * time.Second, false},
		{155 * time.Second, 0, true},
		{155 * time.Second, 35 * time.Second, false}, // when the SDK comes back
		{155 * time.Second, 17 * time.Second, true},
		{60 * time.Second, 30 * time.Second, true},
		{60 * time.Second, 31 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			token := &delegation.Token{Minted: now, Expires: now.Add(c.life)}
			time.Sleep(c.age)
			if got := hasEnoughLife(token); got != c.want {
				t.Errorf("life %s, age %s: %t, want %t", c.life, c.age, got, c.want)
			}
		})
	}
}

// TestSDKNeverStorms protects the platform for every lifetime above 150 s: an
// SDK that asks again whenever it wants to is handed a token that keeps it
// quiet for a while, each time.
func TestSDKNeverStorms(t *testing.T) {
	for life := pacedLifetime + time.Second; life < 2*time.Hour; life += 7 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			token := &delegation.Token{Minted: now, Expires: now.Add(life)}
			asked := 0
			for end := now.Add(2 * life); time.Now().Before(end); asked++ {
				if !hasEnoughLife(token) {
					token = &delegation.Token{Minted: time.Now(), Expires: time.Now().Add(life)}
				}
				time.Sleep(max(time.Until(token.Expires)-sdkRenewalLead, 0) + time.Millisecond)
			}
			if most := int(2*life/((life-sdkRenewalLead)/2)) + 2; asked > most {
				t.Errorf("life %s: asked %d times in two lives, at most %d expected", life, asked, most)
			}
		})
	}
}

// TestMinHandoutInterval protects short-lived tokens and ending sessions from storms.
func TestMinHandoutInterval(t *testing.T) {
	for _, c := range []struct{ life, remaining, want time.Duration }{
		{time.Hour, time.Hour, 0},
		{155 * time.Second, 130 * time.Second, 0},
		{150 * time.Second, 150 * time.Second, 37500 * time.Millisecond},
		{100 * time.Second, 100 * time.Second, 25 * time.Second},
		{time.Hour, 100 * time.Second, 25 * time.Second}, // the session ends first
		{time.Hour, 2 * time.Second, time.Second},
	} {
		if got := minHandoutInterval(c.life, c.remaining); got != c.want {
			t.Errorf("life %s, remaining %s: %s, want %s", c.life, c.remaining, got, c.want)
		}
	}
}

// TestParseTime protects the end of a session from being misread as far away.
func TestParseTime(t *testing.T) {
	want := time.Unix(1_800_000_000, 0)
	for _, good := range []string{"1800000000", "1800000000.5", "1.8e9", want.UTC().Format(time.RFC3339)} {
		if got, err := parseTime(good); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", "NaN", "Inf", "-1", "1e18", "1800000000000", "tomorrow", "2027-01-15"} {
		if got, err := parseTime(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

// TestPaceIsPerPerson protects people from waiting for each other: realm,
// subject and scopes all make a difference.
func TestPaceIsPerPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{state: providerState{pooledEngine: &pooledEngine{tokenPacing: cache.New(cache.NoExpiration, 0)}}}
		h := &TokenHandler{ProviderDirective: ProviderDirective{provider: p, Directive: Directive{logger: zap.NewNop()}}, Scopes: []string{"a"}}
		other := &TokenHandler{ProviderDirective: ProviderDirective{provider: p, Directive: Directive{logger: zap.NewNop()}}, Scopes: []string{"b"}}
		alice := delegation.Person{Realm: "r", Subject: "alice"}
		for _, err := range []error{
			h.checkPace(alice, time.Minute),
			h.checkPace(delegation.Person{Realm: "s", Subject: "alice"}, time.Minute),
			h.checkPace(delegation.Person{Realm: "r", Subject: "bob"}, time.Minute),
			h.checkPace(delegation.Person{Realm: `r""`, Subject: "alice"}, time.Minute),
			other.checkPace(alice, time.Minute),
			h.checkPace(alice, 0),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(20 * time.Second)
		var refusal *delegation.Refusal
		if err := h.checkPace(alice, time.Minute); !errors.As(err, &refusal) || refusal.Code != delegation.TooManyRequests || refusal.BoundedRetryAfter() != 40*time.Second {
			t.Errorf("alice again: %v", err)
		}
		time.Sleep(40*time.Second + time.Millisecond)
		if err := h.checkPace(alice, time.Minute); err != nil {
			t.Errorf("alice after a minute: %v", err)
		}
	})
}

// TestSessionLimit protects the end of a session: afterwards there is no token.
func TestSessionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &TokenHandler{SessionExpires: "{http.auth.user.exp}"}
		for value, want := range map[string]time.Duration{
			"": maxExpiresIn,
			strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10):    time.Hour,
			strconv.FormatInt(time.Now().Add(48*time.Hour).Unix(), 10): maxExpiresIn,
			strconv.FormatInt(time.Now().Add(-time.Second).Unix(), 10): 0,
			strconv.FormatInt(time.Now().Unix(), 10):                   0,
			time.Now().UTC().Add(-time.Hour).Format(time.RFC3339):      0,
			"soon": 0,
		} {
			repl := caddy.NewReplacer()
			repl.Set("http.auth.user.exp", value)
			got, err := h.remainingSession(repl, nil)
			if got != want || (err != nil) != (want == 0) || err != nil && delegation.AsRefusal(err).Code != delegation.SessionRequired {
				t.Errorf("%q: %s, %v; want %s", value, got, err, want)
			}
		}
	})
}
