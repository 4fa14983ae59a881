// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestObjects protects from texts that two parsers read as two objects, and from
// such as make a decoder call itself without end.
func TestObjects(t *testing.T) {
	lists := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for text, want := range map[string]error{
		`{}`: nil, ` {"a":1, "b":[1,{"c":null}], "A":true} `: nil, `{"a":1e400}`: nil, lists(MaxDepth - 1): nil,
		``: errNoObject, `[]`: errNoObject, `null`: errNoObject, `"a"`: errNoObject, "\xef\xbb\xbf{}": errNoObject,
		`{"a":1,"a":2}`: errTwice, `{"a":1,"\u0061":1}`: errTwice,
		`{"a":1}{}`: errMore, `{"a":1}]`: errMore, `{} x`: errMore,
		`{"a":1`: errDamaged, `{"a":01}`: errDamaged, `{"a":1,}`: errDamaged, `{"a" 1}`: errDamaged, `{"a":[1 2]}`: errDamaged, `{"a":nul}`: errDamaged, "{\"a\":\"\n\"}": errDamaged, `{a:1}`: errDamaged,
	} {
		if _, err := Decode([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
		if _, err := Members([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%s: members: %v, want %v", text, err, want)
		}
	}
	for text, want := range map[string]error{`{"a":{"b":1,"b":2}}`: errTwice, `{"a":[{"b":1,"b":2}]}`: errTwice, lists(MaxDepth): errDepth, lists(9000): errDepth} {
		if _, err := Decode([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.20s: %v, want %v", text, err, want)
		}
		if _, err := Members([]byte(text)); err != nil {
			t.Errorf("%.20s: members: %v", text, err)
		}
	}
}

// TestValues protects IDs that are longer than a float is exact.
func TestValues(t *testing.T) {
	const text = `{"n":9007199254740993,"s":"x","b":false,"z":null,"l":[],"o":{"n":1.5}}`
	got, err := Decode([]byte(text))
	want := map[string]any{"n": json.Number("9007199254740993"), "s": "x", "b": false, "z": nil, "l": []any{}, "o": map[string]any{"n": json.Number("1.5")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	members, err := Members([]byte(text))
	if err != nil || string(members["n"]) != "9007199254740993" || members["z"] != nil || string(members["o"]) != `{"n":1.5}` {
		t.Errorf("%s, %v", members, err)
	}
}
