// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

const (
	maxBody        = 64 << 10
	maxAccessToken = 8 << 10

	// maxLifetime is the longest a token of [Client.Token] is believed to live.
	maxLifetime = 30 * 24 * time.Hour
)

// tokenResponse is a successful token response (RFC 6749 section 5.1), checked.
type tokenResponse struct {
	accessToken string
	lifetime    time.Duration // 0 if it does not say
	scope       string        // space-separated; "" if it does not say
	members     map[string]json.RawMessage
}

// stringField returns a string member; "" if it is absent.
func stringField(all map[string]json.RawMessage, key string) (string, error) {
	if all[key] == nil {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(all[key], &s); err != nil {
		return "", fmt.Errorf("%s is no string", key)
	}
	return s, nil
}

// parseTokenResponse checks the body of a successful answer. Errors name the field,
// never its value.
func parseTokenResponse(body []byte) (*tokenResponse, error) {
	all, err := strictjson.Members(body)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	if all["error"] != nil {
		return nil, errors.New("a successful answer reports an error")
	}
	a := tokenResponse{members: all}
	if a.accessToken, err = stringField(all, "access_token"); err != nil {
		return nil, err
	}
	if a.accessToken == "" {
		return nil, errors.New("access_token is missing")
	}
	if err := checkToken("access_token", a.accessToken, maxAccessToken); err != nil {
		return nil, err
	}
	kind, err := stringField(all, "token_type")
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(kind, "Bearer") {
		return nil, errors.New("token_type is not Bearer")
	}
	if a.lifetime, err = parseExpiresIn(all["expires_in"]); err != nil {
		return nil, err
	}
	if a.scope, err = grantedScope(all); err != nil {
		return nil, err
	}
	return &a, nil
}

// checkToken refuses a token that no Authorization header can carry, in the named
// field.
func checkToken(field, token string, limit int) error {
	if len(token) > limit {
		return fmt.Errorf("%s is longer than %d bytes", field, limit)
	}
	for i := range len(token) {
		// No space, control character or byte outside ASCII: CR LF would end
		// the header that carries it (RFC 6750 section 2.1).
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("%s holds characters that no token has", field)
		}
	}
	return nil
}

// checkComplete refuses an answer that does not say how long the token lives: kept
// for a guessed time it would sooner or later be used after its end. It refuses
// scopes that were not asked for as well: the operator's are a ceiling.
func (a *tokenResponse) checkComplete(asked []string) error {
	switch {
	case a.lifetime == 0:
		return errors.New("expires_in is missing")
	case a.isWider(asked):
		return errors.New("scope is wider than what was asked for")
	}
	return nil
}

// isWider reports whether the answer grants a scope that was not asked for. An
// issuer may grant less, and then has to say so (RFC 6749 section 3.3).
func (a *tokenResponse) isWider(asked []string) bool {
	for scope := range strings.FieldsSeq(a.scope) {
		if !slices.Contains(asked, scope) {
			return true
		}
	}
	return false
}

// parseExpiresIn returns the lifetime in expires_in, at least a second; 0 if there
// is none.
func parseExpiresIn(value json.RawMessage) (time.Duration, error) {
	literal := string(value)
	switch {
	case literal == "":
		return 0, nil
	case strings.Trim(literal, "0123456789") != "":
		return 0, errors.New("expires_in is not a positive whole number")
	}
	seconds, err := strconv.ParseInt(literal, 10, 64)
	if err != nil || seconds > math.MaxInt32 {
		return 0, errors.New("expires_in is far too large")
	}
	if seconds == 0 {
		return 0, errors.New("expires_in is 0")
	}
	return time.Duration(seconds) * time.Second, nil
}

// grantedScope returns the scope that the answer says, space-separated; "" if it
// says none.
func grantedScope(all map[string]json.RawMessage) (string, error) {
	scope, err := stringField(all, "scope")
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(scope), " "), nil
}
