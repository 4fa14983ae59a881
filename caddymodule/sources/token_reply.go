// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxLife is the longest life of a token that is believed: vendors write huge numbers
// for tokens that do not end.
const maxLife = 100 * 365 * 24 * time.Hour

// readTokens reads a successful answer. The error names a member, never its value.
// Only what no request could use is an error: a refresh token that has replaced
// another one must not be lost for a slip in what else the answer says.
func (c *Config) readTokens(all map[string]any, received time.Time) (*tokenReply, error) {
	f := &c.Reply
	if f.Root != "" {
		below, _ := memberAt(all, f.Root)
		var ok bool
		if all, ok = below.(map[string]any); !ok {
			return nil, fmt.Errorf("the answer has no object %s", f.Root)
		}
	}
	access, err := tokenAt(all, or(f.Access, "access_token"))
	if err != nil {
		return nil, err
	}
	if access == "" {
		return nil, fmt.Errorf("the answer has no %s", or(f.Access, "access_token"))
	}
	if kind, _ := textAt(all, "token_type"); kind != "" && !strings.EqualFold(kind, "bearer") {
		return nil, errors.New("token_type is not Bearer")
	}
	reply := &tokenReply{members: all}
	if c.Refresh != RefreshNone {
		refresh, err := tokenAt(all, or(f.Refresh, "refresh_token"))
		if err != nil {
			return nil, err
		}
		reply.tokens.Refresh = delegation.NewSecret(refresh)
		if refresh != "" && c.RefreshLife > 0 {
			reply.tokens.RefreshExpires = received.Add(c.RefreshLife)
		}
	}
	reply.tokens.Access = delegation.NewSecret(access)
	reply.tokens.AccessExpires = f.expires(all, access, received)
	if value, ok := memberAt(all, or(f.Scope, "scope")); ok {
		reply.scopes = c.scopeList(value)
	}
	return reply, nil
}

// tokenAt returns a token; empty if there is none. Text that no Authorization header
// can carry is an error: CR LF would end the header (RFC 6750 section 2.1).
func tokenAt(all map[string]any, path string) (string, error) {
	value, ok := memberAt(all, path)
	if !ok {
		return "", nil
	}
	token, ok := value.(string)
	if !ok || len(token) > maxToken {
		return "", fmt.Errorf("%s is no string of at most %d bytes", path, maxToken)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return "", fmt.Errorf("%s holds characters that no token has", path)
		}
	}
	return token, nil
}

// expires returns when an access token ends; zero if the answer does not say so that
// it can be understood.
func (f *Reply) expires(all map[string]any, access string, received time.Time) time.Time {
	switch {
	case f.ExpiresAt != "":
		if seconds, ok := numberAt(all, f.ExpiresAt); ok {
			return bounded(time.Unix(seconds, 0), received)
		}
	case f.ExpiresClaim != "":
		if claims, err := jwtClaims(access); err == nil {
			if seconds, ok := numberAt(claims, f.ExpiresClaim); ok {
				return bounded(time.Unix(seconds, 0), received)
			}
		}
	default:
		unit := f.ExpiresUnit
		if unit <= 0 {
			unit = time.Second
		}
		if units, ok := numberAt(all, or(f.ExpiresIn, "expires_in")); ok && units > 0 {
			return received.Add(time.Duration(min(units, int64(maxLife/unit))) * unit)
		}
	}
	return time.Time{}
}

// bounded returns a time that is at most maxLife away.
func bounded(t, received time.Time) time.Time {
	if most := received.Add(maxLife); t.After(most) {
		return most
	}
	return t
}

// numberAt returns a whole number, which vendors write as a number or as a string. Of
// one with a fraction the whole part counts.
func numberAt(all map[string]any, path string) (int64, bool) {
	text, ok := textAt(all, path)
	if !ok {
		return 0, false
	}
	whole, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

// scopeList returns the scopes of a text or list; nil if it is neither.
func (c *Config) scopeList(value any) []string {
	scopes := []string{}
	switch value := value.(type) {
	case string:
		separator := c.separator()
		for part := range strings.SplitSeq(value, separator) {
			// At separator comma some vendors answer with spaces, as RFC 6749 has it.
			scopes = append(scopes, strings.Fields(part)...)
		}
	case []any:
		for _, item := range value {
			if scope, ok := item.(string); ok && scope != "" {
				scopes = append(scopes, scope)
			}
		}
	default:
		return nil
	}
	return scopes
}

// isZero reports whether the endpoint answers as in the RFC.
func (f *Reply) isZero() bool { return reflect.ValueOf(*f).IsZero() }

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
