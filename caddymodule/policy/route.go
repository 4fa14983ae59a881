// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// methodSet is a set of methods. webSocket is one of them: an upgrade counts as a
// method of its own.
type methodSet uint8

// The methods, in alphabetical order, as the Allow header lists them.
const (
	methodDelete methodSet = 1 << iota
	methodGet
	methodHead
	methodOptions
	methodPatch
	methodPost
	methodPut
	webSocket
)

const (
	webSocketMethod = "WEBSOCKET"

	// defaultMethods are those of a line that names none. OPTIONS, which is mostly
	// a preflight's, and upgrades have to be named.
	defaultMethods = methodDelete | methodGet | methodHead | methodPatch | methodPost | methodPut
)

var methodNames = [...]string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", webSocketMethod}

func methodOf(word string) methodSet {
	if i := slices.Index(methodNames[:], word); i >= 0 {
		return 1 << i
	}
	return 0
}

// names returns the set's HTTP methods, sorted.
func (m methodSet) names() []string {
	var names []string
	for i, name := range methodNames {
		if m&(1<<i) != 0 && name != webSocketMethod {
			names = append(names, name)
		}
	}
	return names
}

// parseMethods returns the methods of a route as a set.
func parseMethods(words []string) (methodSet, error) {
	if len(words) == 0 {
		return defaultMethods, nil
	}
	var m methodSet
	for _, word := range words {
		one, err := parseMethod(word)
		if err != nil {
			return 0, err
		}
		if m&one != 0 {
			return 0, fmt.Errorf("method %s is listed twice: remove one", word)
		}
		m |= one
	}
	if m&methodGet != 0 {
		m |= methodHead
	}
	return m, nil
}

func parseMethod(word string) (methodSet, error) {
	if one := methodOf(word); one != 0 {
		return one, nil
	}
	upper := strings.ToUpper(word)
	switch {
	case word == "*":
		return 0, errors.New("* is no method: leave the methods out to allow any")
	case upper == "CONNECT" || upper == "TRACE":
		return 0, fmt.Errorf("method %s is never forwarded: remove it", word)
	case methodOf(upper) != 0:
		return 0, fmt.Errorf("method %q: methods are case-sensitive, write %s", word, upper)
	default:
		return 0, fmt.Errorf("unknown method %q: use %s", word, strings.Join(methodNames[:], ", "))
	}
}

// checkPattern returns an error that says how to write a route's pattern.
func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return errors.New("the path is empty: write one that starts with a slash, such as /api/v1/**")
	case strings.ContainsAny(pattern, "{}"):
		return fmt.Errorf("path %s: a path takes no placeholder", pattern)
	}
	canonical, err := Canonical(pattern)
	if err != nil {
		return fmt.Errorf("path %q: %w; no request has such a path", pattern, errors.Unwrap(err))
	}
	if canonical != pattern {
		return fmt.Errorf("path %q would not match what requests are compared by: write %s", pattern, canonical)
	}
	segments := strings.Split(pattern[1:], "/")
	for i, segment := range segments {
		switch {
		case segment == "*" || !strings.Contains(segment, "*"):
		case segment != "**":
			return fmt.Errorf("path %s: * stands for a whole segment, not for a part of %s", pattern, segment)
		case i != len(segments)-1:
			return fmt.Errorf("path %s: ** may only stand at the end", pattern)
		}
	}
	return nil
}

// ParseRoute returns the route of the words of an `allow` line:
//
//	[<methods>] <pattern> [<scopes...>]
//
// The pattern is the first word that starts with a slash. The methods before it are
// in upper case, separated by spaces or commas; `websocket` in any case is one of
// them. The words after it are scopes. All are checked, but not whether the
// provider has the scopes: that [New] checks.
func ParseRoute(args []string) (delegation.Route, error) {
	at := slices.IndexFunc(args, func(word string) bool { return strings.HasPrefix(word, "/") })
	if at < 0 {
		return delegation.Route{}, errNoPattern(args)
	}
	route := delegation.Route{Pattern: args[at]}
	for _, word := range args[:at] {
		for method := range strings.SplitSeq(word, ",") {
			if strings.EqualFold(method, webSocketMethod) {
				method = webSocketMethod
			}
			// "GET, POST" is two words, the first with a comma at its end.
			if method != "" {
				route.Methods = append(route.Methods, method)
			}
		}
	}
	if at > 0 && len(route.Methods) == 0 {
		return delegation.Route{}, fmt.Errorf("%q is no method: write one, or leave it out to allow any", args[0])
	}
	if _, err := parseMethods(route.Methods); err != nil {
		return delegation.Route{}, err
	}
	if err := checkPattern(route.Pattern); err != nil {
		return delegation.Route{}, err
	}
	for i, scope := range args[at+1:] {
		if err := checkScope(scope); err != nil {
			return delegation.Route{}, err
		}
		if slices.Contains(args[at+1:at+1+i], scope) {
			return delegation.Route{}, fmt.Errorf("scope %s is listed twice: remove one", scope)
		}
		route.Scopes = append(route.Scopes, scope)
	}
	return route, nil
}

func errNoPattern(args []string) error {
	if len(args) == 0 {
		return errors.New("a path is missing: write [<methods>] <path> [<scopes...>]")
	}
	for _, word := range args {
		if strings.Contains(word, "/") {
			return fmt.Errorf("a path is missing: %q does not start with a slash", word)
		}
	}
	return fmt.Errorf("a path that starts with a slash is missing among %q", strings.Join(args, " "))
}

// checkScope returns an error for a word that is no scope, see
// [delegation.IsScope].
func checkScope(scope string) error {
	if strings.HasPrefix(scope, "/") {
		return fmt.Errorf("%q is a second path: a line has one, what follows it are scopes", scope)
	}
	if scope == "" {
		return errors.New("a scope is empty: remove it")
	}
	if !delegation.IsScope(scope) {
		return fmt.Errorf("%q is no scope: a scope has neither spaces nor quotes nor backslashes", scope)
	}
	return nil
}
