// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Whatever the query, PHP reads exactly the member's identity from it, and
// all else is still there.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "dataset=a+b&instance=0", "filters[id][operator]>=&filters[id][value]=1",
		"uid=1&con.id=2&con+id=3&con[id=4&%6bey=5&source_type=x", "uid[]=1&uid[x]=2&+uid=3&uid%00x=4&UID=5&uid",
		"a;uid=1;b", "x%26uid=1", "%256bey=1", "%u006bey", "\u212aey=1", "a&&b&", "con[id]=1&con[[id=2&con[id[=3&con[ id=4&con. id]=5",
		"q=api/pds/pds/4021.json&_method=DELETE", "%%300=1", "%252B00=1", "[uid]=1&]uid=2&uid]=3", "con%5B%5Did=1&api[key]=2&api.key[=3",
	} {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw string, kind uint8) {
		r := fuzzRoutes[int(kind)%len(fuzzRoutes)]
		out := outgoing(t, r.method, r.path, raw)
		c := &Credential{Token: token(), Member: awkward, Placement: r.place(t)}
		if err := c.Apply(out); err != nil {
			if code(err) == delegation.PathAmbiguous && strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) >= 0 ||
				code(err) == delegation.RouteDenied && strings.Count(raw, "&")+strings.Count(raw, ";") >= maxParameters {
				return
			}
			t.Fatalf("%q: %v", raw, err)
		}
		got := out.URL.RawQuery
		for _, reader := range []php{{"&", false}, {"&", true}, {"&;", false}, {"&;", true}} {
			checkRead(t, reader, got, r.want)
		}
		checkKept(t, raw, got, r.want)
	})
}

var (
	awkward = Member{UID: "4020", ConnectionID: "4020-40000", Key: delegation.NewSecret(`K&e=y+%26;#"[uid]`)}
	inQuery = map[string]string{"uid": "4020", "con_id": "4020-40000", "source_type": "connection", "key": awkward.Key.Reveal()}
)

type fuzzRoute struct {
	method, path string
	rules        []Rule
	want         map[string]string
}

var fuzzRoutes = []fuzzRoute{
	{"GET", "/api/pds/pds/me.json", nil, map[string]string{"con_id": inQuery["con_id"], "source_type": "connection", "key": inQuery["key"]}},
	{"POST", "/api/pds/transaction", nil, inQuery},
	{"GET", "/calendar/get-events", nil, map[string]string{"uid": "4020", "con_id": "4020-40000"}},
	{"GET", "/status", []Rule{{Style: None, Pattern: "/status"}}, nil},
}

func (r fuzzRoute) place(t *testing.T) IdentityPlacement {
	t.Helper()
	s, err := NewStyles(r.rules)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Placement(r.method, r.path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var protected = []string{"uid", "con_id", "key", "source_type", "api_key", "connection_token", "access_token", "q", "_method"}

// checkRead compares what a reader finds with what is the member's.
func checkRead(t *testing.T, reader php, query string, want map[string]string) {
	t.Helper()
	found := map[string]int{}
	for _, v := range reader.parse(query) {
		name := strings.ToLower(v.name) // to be safe
		if !slices.Contains(protected, name) {
			continue
		}
		found[name]++
		if value, ok := want[name]; !ok || v.array || v.name != name || v.value != value {
			t.Fatalf("%+v reads %+v from %q", reader, v, query)
		}
	}
	for name := range want {
		if found[name] != 1 {
			t.Fatalf("%+v reads %s %d times from %q", reader, name, found[name], query)
		}
	}
}

// checkKept makes sure that nothing else was lost, changed or moved.
func checkKept(t *testing.T, raw, got string, want map[string]string) {
	t.Helper()
	kept := strings.Split(got, "&")
	if kept = kept[:len(kept)-len(want)]; got == "" {
		kept = nil
	}
	for parameter := range strings.SplitSeq(raw, "&") {
		switch {
		case len(kept) > 0 && kept[0] == parameter:
			kept = kept[1:]
		case parameter == "" && len(kept) == 0: // nothing is left to be divided
		case !suspicious(parameter):
			t.Fatalf("%q is gone from %q, which became %q", parameter, raw, got)
		}
	}
	if len(kept) > 0 {
		t.Fatalf("%q was not in %q, which became %q", kept, raw, got)
	}
}

// suspicious is a rough measure of what may be dropped: letters and digits of
// a name make up one of ours, or the name is malformed or escaped again and
// again.
func suspicious(parameter string) bool {
	for part := range strings.SplitSeq(parameter, ";") {
		name, _, _ := strings.Cut(part, "=")
		if _, err := url.PathUnescape(name); err != nil {
			return true
		}
		twice := phpDecode(phpDecode(name))
		for range 4 {
			letters := strings.Map(func(r rune) rune {
				switch {
				case r == '\u212a':
					return 'k'
				case r == '\u017f':
					return 's'
				case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
					return r
				case 'A' <= r && r <= 'Z':
					return r + 'a' - 'A'
				default:
					return -1
				}
			}, name)
			for _, ours := range protected {
				if strings.Contains(letters, strings.ReplaceAll(ours, "_", "")) {
					return true
				}
			}
			if !utf8.ValidString(name) {
				return true
			}
			name = phpDecode(name)
		}
		if phpDecode(twice) != twice {
			return true
		}
	}
	return false
}
