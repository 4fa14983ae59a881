// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"strings"
)

var (
	errTargetForm  = errors.New("the request target is neither a path nor an http URL")
	errTargetHost  = errors.New("the host of the request target holds characters that no host has")
	errTargetQuery = errors.New("space, control character or # in the query")
)

// CheckTarget judges a request target as it was received (RFC 9112 section 3.2):
// a path with or without a query, or an http or https URL. A rewrite between
// the client and us may have hidden a second reading that the path had. The
// path is judged by the rules of [Canonical]; a query must not hold spaces,
// control characters or "#". The error is a [delegation.Refusal]
// path_ambiguous.
func CheckTarget(requestURI string) error {
	path, query, _ := strings.Cut(requestURI, "?")
	if !strings.HasPrefix(path, "/") {
		var err error
		if path, err = pathOfURL(path); err != nil {
			return ambiguous(err)
		}
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return ambiguous(errTargetQuery)
		}
	}
	_, err := Canonical(path)
	return err
}

// pathOfURL returns the path of a URL without a query.
func pathOfURL(url string) (string, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", errTargetForm
	}
	host, path, slash := strings.Cut(rest, "/")
	if host == "" || strings.ContainsFunc(host, isNotHostRune) {
		return "", errTargetHost
	}
	if !slash {
		return "/", nil
	}
	return "/" + path, nil
}

// isNotHostRune lets names, addresses and ports pass. Backslash, "@" and "#" are
// where URL parsers disagree about where the host ends.
func isNotHostRune(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("-._:[]", r)
	}
}
