// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"unicode"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxField is the size of the longest further member: an ID token has a few
// kilobytes.
const maxField = 8 << 10

// furtherFields returns the named members of an answer that are there, as text.
// Names of accounts are strings at one issuer and numbers at the next.
func furtherFields(all map[string]json.RawMessage, names []string) (map[string]delegation.Secret, error) {
	fields := make(map[string]delegation.Secret, len(names))
	for _, name := range names {
		value := all[name]
		if value == nil {
			continue
		}
		text, ok := fieldText(value)
		if !ok {
			return nil, fmt.Errorf("%s is neither a number nor a string of at most %d bytes of text", name, maxField)
		}
		fields[name] = delegation.NewSecret(text)
	}
	return fields, nil
}

// fieldText returns a JSON string or number as text. ok is false for any other
// value, for one that is too long, and for a string of which two may look alike:
// with control characters, or what decodes to U+FFFD because it is no character.
func fieldText(value json.RawMessage) (text string, ok bool) {
	if value[0] != '"' {
		return NumberText(string(value))
	}
	if err := json.Unmarshal(value, &text); err != nil || len(text) > maxField {
		return "", false
	}
	return text, !strings.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) })
}

// NumberText returns a JSON number in full, without an exponent and without zeros
// behind the last digit: the same number has one text, however an issuer writes
// it, and no digit is lost as in a float. ok is false for what is no number, longer
// than 8 KiB, or has an exponent of more than two digits, by which a few bytes could
// have as many digits as they like.
func NumberText(literal string) (text string, ok bool) {
	if literal == "" || len(literal) > maxField || strings.ContainsAny(literal[:1], "tf{[") { // true, false, object, list
		return "", false
	}
	if _, exponent, has := strings.Cut(strings.ToLower(literal), "e"); has && len(strings.TrimLeft(exponent, "+-0")) > 2 {
		return "", false
	}
	number, ok := new(big.Rat).SetString(literal)
	if !ok {
		return "", false
	}
	digits, _ := number.FloatPrec() // exact: it is a decimal fraction
	return number.FloatString(digits), true
}
