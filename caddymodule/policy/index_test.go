// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// linearTable is what the tree must agree with: the same rules, read line by line
// without any index.
type linearTable []struct {
	methods []string
	pattern []string
	scopes  []string
}

func newLinearTable(routes []delegation.Route) linearTable {
	l := make(linearTable, len(routes))
	for i, r := range routes {
		l[i].methods = r.Methods
		if len(r.Methods) == 0 {
			l[i].methods = []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}
		}
		l[i].pattern = strings.Split(r.Pattern, "/")[1:]
		l[i].scopes = r.Scopes
	}
	return l
}

func (l linearTable) match(method, path string, upgrade bool) (scopes []string, code delegation.Code, allow []string) {
	segments := strings.Split(path, "/")[1:]
	code = delegation.RouteDenied
	seen := map[string]bool{}
	for _, line := range l {
		if !covers(line.pattern, segments) {
			continue
		}
		wanted := method
		if upgrade {
			wanted = webSocketMethod
		}
		for _, m := range line.methods {
			if m == wanted || m == http.MethodGet && wanted == http.MethodHead {
				return line.scopes, "", nil
			}
			if m != webSocketMethod {
				seen[m] = true
			}
			if m == http.MethodGet {
				seen[http.MethodHead] = true
			}
		}
	}
	if len(seen) == 0 || upgrade {
		return nil, code, nil
	}
	for m := range seen {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	return nil, delegation.MethodNotAllowed, allow
}

func covers(pattern, segments []string) bool {
	for i, p := range pattern {
		switch {
		case i >= len(segments):
			return false
		case p == "**":
			return segments[i] != ""
		case p == "*" && segments[i] == "" || p != "*" && p != segments[i]:
			return false
		}
	}
	return len(pattern) == len(segments)
}

// A fast index that differs from the plain rules opens or closes routes only
// in large tables, where nobody looks (T22). Random tables over few words,
// so that lines overlap.
func TestT22_IndexAgreesWithPlainRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "WEBSOCKET"}
	words := []string{"a", "b", "c", "*"}
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	randomPath := func(words []string) string {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			b.WriteString("/" + pick(words))
		}
		if rng.IntN(6) == 0 {
			b.WriteString("/")
		}
		return b.String()
	}
	outcomes := map[delegation.Code]int{}
	for range 300 {
		var routes []delegation.Route
		used := map[string]bool{}
		for i := range 1 + rng.IntN(150) {
			r := delegation.Route{Pattern: randomPath(words), Scopes: []string{fmt.Sprint(i)}}
			if rng.IntN(5) == 0 {
				r.Pattern = strings.TrimSuffix(r.Pattern, "/") + "/**"
			}
			for _, m := range methods {
				if rng.IntN(4) == 0 {
					r.Methods = append(r.Methods, m)
				}
			}
			set, err := parseMethods(r.Methods)
			if err != nil {
				t.Fatal(err)
			}
			if key := fmt.Sprint(set, r.Pattern); !used[key] {
				used[key] = true
				routes = append(routes, r)
			}
		}
		var ceiling []string
		for _, r := range routes {
			ceiling = append(ceiling, r.Scopes...)
		}
		table, err := New(routes, ceiling)
		if err != nil {
			t.Fatal(err)
		}
		plain := newLinearTable(routes)
		for range 200 {
			method, path, upgrade := pick([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"}), randomPath(words), rng.IntN(8) == 0
			if upgrade {
				method = "GET"
			}
			scopes, code, allow := plain.match(method, path, upgrade)
			v, err := table.Match(method, path, upgrade)
			var r *delegation.Refusal
			if err == nil {
				r = &delegation.Refusal{}
			} else if !errors.As(err, &r) {
				t.Fatal(err)
			}
			if r.Code != code || !slices.Equal(r.Allow, allow) || !slices.Equal(v.Scopes, scopes) {
				t.Fatalf("%s %s (upgrade %v): index %v %q %v, plain %v %q %v\n%+v", method, path, upgrade, v.Scopes, r.Code, r.Allow, scopes, code, allow, routes)
			}
			outcomes[code]++
		}
	}
	for _, code := range []delegation.Code{"", delegation.RouteDenied, delegation.MethodNotAllowed} {
		if outcomes[code] < 1000 {
			t.Errorf("only %d of the cases ended in %q: the test does not test it", outcomes[code], code)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 100, 10_000} {
		routes := make([]delegation.Route, n)
		for i := range routes {
			routes[i] = delegation.Route{Methods: []string{"GET"}, Pattern: fmt.Sprintf("/api/v1/delegated/resource%d/*", i)}
			if i%10 == 0 {
				routes[i].Pattern = fmt.Sprintf("/api/v%d/*/thing/**", i)
			}
		}
		path := fmt.Sprintf("/api/v1/delegated/resource%d/17", n-1)
		table, err := New(routes, testScopes)
		if err != nil {
			b.Fatal(err)
		}
		plain := newLinearTable(routes)
		b.Run(fmt.Sprintf("index/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := table.Match("GET", path, false); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("linear/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, code, _ := plain.match("GET", path, false); code != "" {
					b.Fatal(code)
				}
			}
		})
	}
}
