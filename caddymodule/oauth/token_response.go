// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody        = 64 << 10
	maxAccessToken = 8 << 10

	// maxLifetime is the longest a token is believed to live.
	maxLifetime = 30 * 24 * time.Hour
)

// tokenResponse is a successful token response (RFC 6749 section 5.1), checked.
type tokenResponse struct {
	accessToken string
	lifetime    time.Duration
	scope       string // as granted
}

// StrictObject returns the members of a JSON object that came over the network. A
// name that occurs twice is an error: two parsers may disagree on which one
// counts (RFC 8259 section 4). Null values are nil. Errors quote nothing.
func StrictObject(body []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the answer is no JSON object")
	}
	all := make(map[string]json.RawMessage)
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("the answer is damaged JSON")
		}
		if _, twice := all[key]; twice {
			return nil, errors.New("the answer has a key twice")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("the answer is damaged JSON")
		}
		if string(value) == "null" {
			value = nil
		}
		all[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("the answer is damaged JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the answer's JSON")
	}
	return all, nil
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

// parseTokenResponse checks the body of a successful answer to a request for the
// scopes asked. Errors name the field, never its value.
func parseTokenResponse(body []byte, asked []string) (*tokenResponse, error) {
	all, err := StrictObject(body)
	if err != nil {
		return nil, err
	}
	if all["error"] != nil {
		return nil, errors.New("a successful answer reports an error")
	}
	var a tokenResponse
	if a.accessToken, err = stringField(all, "access_token"); err != nil {
		return nil, err
	}
	if err := checkAccessToken(a.accessToken); err != nil {
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
	if a.scope, err = grantedScope(all, asked); err != nil {
		return nil, err
	}
	return &a, nil
}

// checkAccessToken refuses a token that no Authorization header can carry.
func checkAccessToken(token string) error {
	switch {
	case token == "":
		return errors.New("access_token is missing")
	case len(token) > maxAccessToken:
		return fmt.Errorf("access_token is longer than %d bytes", maxAccessToken)
	}
	for i := range len(token) {
		// No space, control character or byte outside ASCII: CR LF would end
		// the header that carries it (RFC 6750 section 2.1).
		if token[i] <= ' ' || token[i] > '~' {
			return errors.New("access_token holds characters that no bearer token has")
		}
	}
	return nil
}

// parseExpiresIn returns the lifetime in expires_in, from a second to 30 days. A
// token without it is refused: kept for a guessed time it would sooner or later
// be used after its end.
func parseExpiresIn(value json.RawMessage) (time.Duration, error) {
	literal := string(value)
	switch {
	case literal == "":
		return 0, errors.New("expires_in is missing")
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
	return min(time.Duration(seconds)*time.Second, maxLifetime), nil
}

// grantedScope returns the scope of the token, space-separated. An issuer may grant
// less than was asked for, and then has to say so (RFC 6749 section 3.3). More is
// refused: the operator's scopes are a ceiling.
func grantedScope(all map[string]json.RawMessage, asked []string) (string, error) {
	scope, err := stringField(all, "scope")
	if err != nil {
		return "", err
	}
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		return strings.Join(asked, " "), nil
	}
	for _, s := range scopes {
		if !slices.Contains(asked, s) {
			return "", errors.New("scope is wider than what was asked for")
		}
	}
	return strings.Join(scopes, " "), nil
}
