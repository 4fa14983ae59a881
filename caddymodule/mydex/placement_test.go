// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func TestStyleOf(t *testing.T) {
	for path, want := range map[string]Style{
		"/api/pds/pds/me.json":                        Datasets,
		"/api/pds/transaction/me.json":                Datasets,
		"/api/pds/transaction":                        Datasets,
		"/API/Pds/PDS/me.json":                        Datasets,
		"/api/pds/pdsx/me.json":                       Blocks,
		"/api/pds/transactions":                       Blocks,
		"/api/pds/add-measurements":                   Blocks,
		"/api/pds/mam":                                Blocks,
		"/api/pds/mam/this-is-me/personal-details":    Blocks,
		"/api/pds/mam/this-is-me/index":               Blocks,
		"/calendar/add-event":                         Blocks,
		"/referrals/read-all":                         Blocks,
		"/secure-messages/conversation":               Blocks,
		"/timeline":                                   Blocks,
		"/timeline/single-item":                       Blocks,
		"/":                                           Blocks,
		"/prefix/api/pds/pds/me.json":                 Blocks,
		"/something/new/that/the/platform/adds/later": Blocks,
	} {
		if got := StyleOf(path); got != want {
			t.Errorf("StyleOf(%q) = %v, want %v", path, got, want)
		}
	}
}

// The frontend never says whose data it wants (T25).
func TestT25_OnlyMe(t *testing.T) {
	for path, rule := range map[string]error{
		"/api/pds/pds/4020.json":           errNotMe,
		"/api/pds/pds/4020.xml":            errNotMe,
		"/api/pds/pds/4020":                errNotMe,
		"/api/pds/transaction/4020.json":   errNotMe,
		"/API/pds/PDS/4020.json":           errNotMe,
		"/api/pds/pds/me.json/":            errNotMe,
		"/api/pds/pds/me/":                 errNotMe,
		"/api/pds/pds/":                    errNotMe,
		"/api/pds/transaction/":            errNotMe,
		"/api/pds/pds/me/4020.json":        errNotMe,
		"/api/pds/pds/4020/me.json":        errNotMe,
		"/api/pds/pds/ME.json":             errNotMe,
		"/api/pds/pds/me.JSON":             errNotMe,
		"/api/pds/pds/me.php":              errNotMe,
		"/api/pds/pds/me.json.xml":         errNotMe,
		"/api/pds/pds/me.":                 errNotMe,
		"/api/pds/pds/.json":               errNotMe,
		"/api/pds/pds/mee.json":            errNotMe,
		"/api/pds/pds/index":               errNotMe,
		"/api/pds/pds/*":                   errNotMe,
		"/api/pds/pds/me.jsonp":            errJSONP,
		"/api/pds/pds/me.JSONP":            errJSONP,
		"/api/pds/pds/4020.jsonp":          errJSONP,
		"/api/pds/transaction.jsonp":       errJSONP,
		"/timeline.jsonp":                  errJSONP,
		"/timeline.JsonP/x":                errJSONP,
		"/api/pds/pd%C5%BF/4020.json":      errEscaped, // long s
		"/api/pds/pd%C5%9B/4020.json":      errEscaped, // accent
		"/api/pds/mam/this%20is":           errEscaped,
		"/api/pds/mam/4020":                errMemberNumber,
		"/api/pds/files/4020.json":         errMemberNumber,
		"/api/pds/files/4020-40000":        errMemberNumber,
		"/index.php/api/pds/pds/4020.json": errMemberNumber,
		"/calendar/4020/events":            errMemberNumber,
		"/api/pds":                         errConsentRoute,
		"/api/pds/":                        errConsentRoute,
		"/API/PDS":                         errConsentRoute,
		"/api/connection":                  errConsentRoute,
		"/api/connection/update":           errConsentRoute,
		"/access-token/40000":              errConsentRoute,
		"/identify":                        errConsentRoute,
		"/Identify/":                       errConsentRoute,
		"/ftc/setup":                       errConsentRoute,
		"/members/myaccount/svt":           errConsentRoute,
		"/members/notify":                  errConsentRoute,
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			p, err := new(Styles).Placement(method, path)
			if code(err) != delegation.RouteDenied || !errors.Is(err, rule) || p != (IdentityPlacement{}) {
				t.Errorf("%s %s: %v, %v (%v); want %v", method, path, p, err, errors.Unwrap(err), rule)
			}
			if strings.Contains(errors.Unwrap(err).Error(), "4020") {
				t.Errorf("%s: the cause names a person", path)
			}
		}
	}
}

// A rule changes how the identity is sent, never whose it is.
func TestRules(t *testing.T) {
	s, err := NewStyles([]Rule{
		{Blocks, []string{"PUT"}, "/api/pds/pds/*"},
		{Blocks, nil, "/calendar/*/entries"},
		{Datasets, []string{"GET"}, "/files/**"},
		{None, nil, "/public/**"},
		{None, nil, "/api/connection"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		want         IdentityPlacement
		rule         error
	}{
		{"PUT", "/api/pds/pds/me.json", IdentityPlacement{Blocks, true}, nil},
		{"GET", "/api/pds/pds/me.json", IdentityPlacement{Datasets, true}, nil},
		{"PUT", "/api/pds/pds/4020.json", IdentityPlacement{}, errNotMe},
		{"GET", "/calendar/7/entries", IdentityPlacement{Blocks, false}, nil}, // the operator says what the number is
		{"GET", "/calendar/7", IdentityPlacement{}, errMemberNumber},
		{"GET", "/files/me.json", IdentityPlacement{Datasets, true}, nil},
		{"HEAD", "/files/a/me", IdentityPlacement{Datasets, true}, nil},
		{"GET", "/files/list", IdentityPlacement{Datasets, false}, nil},
		{"GET", "/files/4020.json", IdentityPlacement{}, errMemberNumber},
		{"POST", "/files/me.json", IdentityPlacement{Blocks, false}, nil},
		{"GET", "/public/2024", IdentityPlacement{None, false}, nil},
		{"GET", "/public/x.jsonp", IdentityPlacement{}, errJSONP},
		{"POST", "/api/connection", IdentityPlacement{}, errConsentRoute},
		{"GET", "/timeline", IdentityPlacement{Blocks, false}, nil},
	} {
		p, err := s.Placement(c.method, c.path)
		if p != c.want || !errors.Is(err, c.rule) {
			t.Errorf("%s %s: %+v, %v; want %+v, %v", c.method, c.path, p, err, c.want, c.rule)
		}
	}
	for _, rules := range [][]Rule{
		{{Pattern: "/a"}},
		{{Style: 9, Pattern: "/a"}},
		{{Style: Blocks, Pattern: "a"}},
		{{Style: Blocks, Pattern: "/a*"}},
		{{Style: Blocks, Pattern: "/a", Methods: []string{"get"}}},
		{{Style: Blocks, Pattern: "/a"}, {Style: None, Pattern: "/a"}},
	} {
		if _, err := NewStyles(rules); err == nil {
			t.Errorf("%v: no error", rules)
		}
	}
}

func TestStyleWords(t *testing.T) {
	for _, s := range []Style{Datasets, Blocks, None} {
		if got, err := ParseStyle(s.String()); got != s || err != nil {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
	for _, word := range []string{"", "unset", "Blocks", "dataset"} {
		if _, err := ParseStyle(word); err == nil {
			t.Errorf("%q is a style", word)
		}
	}
}

// Whatever the path, a dataset route that is let through has the member's uid
// in the only place where one stands.
func FuzzPlacement(f *testing.F) {
	for _, seed := range []string{"/api/pds/pds/me.json", "/api/pds/pds/4020.json", "/api/pds/transaction", "/API/%70ds//pds/%6de.json", "/x/.jsonp", "/api/pds/pds/me%2ejson", "/timeline"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := policy.Canonical(raw)
		if err != nil {
			return
		}
		p, err := new(Styles).Placement("GET", path)
		if err != nil {
			if code(err) != delegation.RouteDenied {
				t.Fatalf("%q: %v", path, err)
			}
			return
		}
		out := outgoing(t, "GET", path, "")
		c := &Credential{Token: token(), Member: alice, Placement: p}
		if err := c.Apply(out); err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		sent := out.URL.EscapedPath()
		lower := strings.ToLower(sent)
		if strings.Contains(lower, ".jsonp") || strings.Contains(sent, "%") {
			t.Fatalf("%q is sent as %q", path, sent)
		}
		segments := strings.Split(lower, "/")
		if len(segments) > 4 && segments[1] == "api" && segments[2] == "pds" && (segments[3] == "pds" || segments[3] == "transaction") {
			if len(segments) != 5 || strings.TrimSuffix(strings.TrimSuffix(segments[4], ".json"), ".xml") != "4020" {
				t.Fatalf("%q is sent as %q", path, sent)
			}
		} else if sent != path {
			t.Fatalf("%q is sent as %q", path, sent)
		}
	})
}
