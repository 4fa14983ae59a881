// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var (
	errNoLine       = errors.New("no line of the route policy covers the path")
	errOtherMethods = errors.New("the lines of the route policy that cover the path are for other methods")
	errNoUpgrade    = errors.New("no line of the route policy that covers the path has WEBSOCKET among its methods")
)

// Table is a compiled route policy. Make it with [New]; it is safe for concurrent
// use.
//
// A line covers a request if its pattern matches the path and its methods
// have the request's. The first line that does decides; what none covers is
// refused.
//
// Patterns are compared segment by segment, case-sensitively:
//
//   - `*` is exactly one segment that is not empty: /a/* matches /a/x, but
//     neither /a/ nor /a/x/y.
//   - `/**` at the end is one segment or more: /a/** matches /a/x, /a/x/y and
//     /a/x/, but neither /a nor /a/.
//   - A trailing slash counts: /a is not /a/.
//
// GET includes HEAD. A line without methods is for DELETE, GET, HEAD, PATCH,
// POST and PUT. OPTIONS must be named, and so must WEBSOCKET, which is for a
// GET that upgrades and for nothing else. Every other method is refused.
type Table struct {
	root  node
	lines []compiledRoute
}

// compiledRoute is one line of the policy.
type compiledRoute struct {
	pattern string
	methods methodSet
	scopes  []string
	public  bool
}

// node is a node of the tree of path segments. Its lists hold line numbers,
// ascending.
type node struct {
	literal map[string]*node
	star    *node
	exact   []int // patterns that end here
	subtree []int // patterns that go on with /**
}

// Match is what the line that covers a request says of it.
type Match struct {
	// Scopes are the line's or else the provider's, sorted; none on a public
	// route. They are shared: do not change them.
	Scopes []string

	// Public reports that neither session nor credential is needed.
	Public bool

	// Upgrade reports that the request is a WebSocket handshake and may be one.
	Upgrade bool
}

// New compiles a route policy. scopes are the provider's: the default of lines
// without scopes, and all that a line may ask for. An error names the line by its
// number, from 1, and says how to correct it.
func New(routes []delegation.Route, scopes []string) (*Table, error) {
	c := ceiling{scopes: sorted(scopes), check: func(scope string) error {
		if !slices.Contains(scopes, scope) {
			return fmt.Errorf("scope %s is not among the provider's: add it to `scopes` of the provider, or remove it here", scope)
		}
		return nil
	}}
	return compile(routes, func(delegation.Route) (ceiling, error) { return c, nil })
}

// ceiling is what a line may ask for.
type ceiling struct {
	scopes []string // of lines without scopes, sorted
	check  func(scope string) error
}

// compile makes a table of routes, each below a ceiling. ceilingOf is called with
// routes whose pattern was checked.
func compile(routes []delegation.Route, ceilingOf func(delegation.Route) (ceiling, error)) (*Table, error) {
	t := &Table{lines: make([]compiledRoute, len(routes))}
	for i, r := range routes {
		var below ceiling
		methods, err := compileMethods(r)
		if err == nil {
			below, err = ceilingOf(r)
		}
		if err == nil {
			err = checkScopes(r, below)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d (%s): %w", i+1, describeRoute(r), err)
		}
		l := compiledRoute{pattern: r.Pattern, methods: methods, scopes: below.scopes, public: r.Public}
		switch {
		case r.Public:
			l.scopes = nil
		case len(r.Scopes) > 0:
			l.scopes = sorted(r.Scopes)
		}
		t.lines[i] = l
		list := t.linesOf(r.Pattern)
		for _, other := range *list {
			if t.lines[other].methods == methods {
				return nil, fmt.Errorf("line %d (%s): line %d has the same methods and path: remove one", i+1, describeRoute(r), other+1)
			}
		}
		*list = append(*list, i)
	}
	return t, nil
}

func sorted(scopes []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(scopes)))
}

func describeRoute(r delegation.Route) string {
	return strings.TrimSpace(strings.Join(r.Methods, ",") + " " + r.Pattern)
}

// compileMethods returns the methods of a route, whose pattern it checks.
func compileMethods(r delegation.Route) (methodSet, error) {
	methods, err := parseMethods(r.Methods)
	if err != nil {
		return 0, err
	}
	return methods, checkPattern(r.Pattern)
}

// checkScopes checks the scopes of a route.
func checkScopes(r delegation.Route, below ceiling) error {
	if r.Public && len(r.Scopes) > 0 {
		return errors.New("a public route is sent without a token: remove its scopes")
	}
	for i, scope := range r.Scopes {
		if err := checkScope(scope); err != nil {
			return err
		}
		if slices.Contains(r.Scopes[:i], scope) {
			return fmt.Errorf("scope %s is listed twice: remove one", scope)
		}
		if err := below.check(scope); err != nil {
			return err
		}
	}
	return nil
}

// linesOf returns the list of line numbers at a pattern's node.
func (t *Table) linesOf(pattern string) *[]int {
	n := &t.root
	for segment := range strings.SplitSeq(pattern[1:], "/") {
		switch segment {
		case "**":
			return &n.subtree
		case "*":
			if n.star == nil {
				n.star = new(node)
			}
			n = n.star
		default:
			next, ok := n.literal[segment]
			if !ok {
				if n.literal == nil {
					n.literal = make(map[string]*node)
				}
				next = new(node)
				n.literal[segment] = next
			}
			n = next
		}
	}
	return &n.exact
}

// Upgrades reports whether a line, numbered from 0, allows a WebSocket.
func (t *Table) Upgrades(line int) bool { return t.lines[line].methods&webSocket != 0 }

// Match returns the match of the first line that covers a request. The path is one
// that [Canonical] returned. With upgrade, which needs the method GET, the line
// must have WEBSOCKET.
//
// The error is a [delegation.Refusal]: route_denied, or method_not_allowed
// with the methods that the path is open to.
func (t *Table) Match(method, canonicalPath string, upgrade bool) (Match, error) {
	if upgrade && method != "GET" {
		return Match{}, refuseUpgrade()
	}
	s := t.find(method, canonicalPath, upgrade)
	if s.best < len(t.lines) {
		l := t.lines[s.best]
		return Match{Scopes: l.scopes, Public: l.public, Upgrade: upgrade}, nil
	}
	return Match{}, s.refusal(upgrade)
}

// refuseUpgrade returns the refusal of a WebSocket where none is allowed.
func refuseUpgrade() *delegation.Refusal {
	return delegation.Refuse(delegation.RouteDenied, errNoUpgrade).WithMessage("This route is not open to WebSockets.")
}

// find searches the line that covers a request.
func (t *Table) find(method, canonicalPath string, upgrade bool) search {
	s := search{lines: t.lines, wanted: methodOf(method), best: len(t.lines)}
	switch {
	case method == webSocketMethod: // a word of the policy, not a method of HTTP
		s.wanted = 0
	case upgrade && method != "GET":
		s.wanted = 0
	case upgrade:
		s.wanted = webSocket
	}
	if path, ok := strings.CutPrefix(canonicalPath, "/"); ok {
		s.walk(&t.root, path, true)
	}
	return s
}

// Pattern returns the pattern of the line by which [Table.Match] decides; ok is
// false if it refuses.
func (t *Table) Pattern(method, canonicalPath string, upgrade bool) (pattern string, ok bool) {
	best := t.find(method, canonicalPath, upgrade).best
	if best == len(t.lines) {
		return "", false
	}
	return t.lines[best].pattern, true
}

// search is the search for the smallest line number whose pattern matches and whose
// methods have the wanted one.
type search struct {
	lines  []compiledRoute
	wanted methodSet
	best   int
	open   methodSet // methods of all lines whose pattern matches
}

func (s *search) walk(n *node, path string, more bool) {
	if !more {
		s.consider(n.exact)
		return
	}
	if path != "" {
		s.consider(n.subtree)
	}
	segment, rest, more := strings.Cut(path, "/")
	if next, ok := n.literal[segment]; ok {
		s.walk(next, rest, more)
	}
	if n.star != nil && segment != "" {
		s.walk(n.star, rest, more)
	}
}

func (s *search) consider(lines []int) {
	for _, i := range lines {
		s.open |= s.lines[i].methods
		if i < s.best && s.lines[i].methods&s.wanted != 0 {
			s.best = i
		}
	}
}

func (s *search) refusal(upgrade bool) *delegation.Refusal {
	allow := s.open.names()
	switch {
	case s.open == 0:
		return delegation.Refuse(delegation.RouteDenied, errNoLine)
	case upgrade:
		return refuseUpgrade()
	case len(allow) == 0: // only upgrades are open
		return delegation.Refuse(delegation.RouteDenied, errOtherMethods)
	}
	r := delegation.Refuse(delegation.MethodNotAllowed, errOtherMethods)
	r.Allow = allow
	return r
}
