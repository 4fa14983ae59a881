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

// CheckTarget refuses, with path_ambiguous, a request target as it was received
// (RFC 9112 section 3.2) that has more than one reading: a rewrite may have hidden
// one that the path had. A target is a path with or without a query, or an http or
// https URL. Its path follows the rules of [Canonical]; its query holds no space,
// control character or "#". The error is a [delegation.Refusal].
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

// pathOfURL returns the path of an absolute URL without a query.
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

// isNotHostRune reports whether a character stands in no host name, address or
// port. URL parsers disagree about whether a host ends at a backslash, "@" or "#".
func isNotHostRune(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("-._:[]", r)
	}
}
