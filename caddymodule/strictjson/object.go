// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects that strangers have written: answers of
// issuers and apps, claims, keys and callbacks. A name that stands twice in an
// object is refused, because two parsers may disagree on which value counts (RFC
// 8259 section 4). Names are compared as they are: encoding/json takes "SUB" for
// "sub". No error quotes the text, which may hold a secret or a person's data.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// MaxDepth is how many objects and lists [Decode] reads in each other. Decoders
// call themselves as often, and real answers have fewer than ten.
const MaxDepth = 64

var (
	errNoObject = errors.New("it is no JSON object")
	errDamaged  = errors.New("it is damaged JSON")
	errTwice    = errors.New("it has a name twice")
	errMore     = errors.New("something follows the JSON object")
	errDepth    = errors.New("it is nested too deeply")
)

// Members returns the members of an object by their names, each as its JSON
// text; nil for null. Only the object's own names are compared.
func Members(text []byte) (map[string]json.RawMessage, error) {
	return readObject(text, func(decoder *json.Decoder) (value json.RawMessage, err error) {
		if err := decoder.Decode(&value); err != nil {
			return nil, errDamaged
		}
		if string(value) == "null" {
			return nil, nil
		}
		return value, nil
	})
}

// Decode returns an object with all that is in it: string, [json.Number] (an ID
// may be longer than a float is exact), bool, nil, []any and map[string]any, at
// most [MaxDepth] deep. The names of each object are compared.
func Decode(text []byte) (map[string]any, error) {
	return readObject(text, func(decoder *json.Decoder) (any, error) { return value(decoder, 1) })
}

// readObject reads a text that is one object and nothing else.
func readObject[V any](text []byte, value func(*json.Decoder) (V, error)) (map[string]V, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errNoObject
	}
	object, err := readMembers(decoder, value)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errMore
	}
	return object, nil
}

// readMembers reads an object behind its opening brace.
func readMembers[V any](decoder *json.Decoder, value func(*json.Decoder) (V, error)) (map[string]V, error) {
	object := make(map[string]V)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errDamaged
		}
		if _, twice := object[name]; twice {
			return nil, errTwice
		}
		if object[name], err = value(decoder); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errDamaged
	}
	return object, nil
}

// value reads any value inside depth objects and lists.
func value(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, errDamaged
	}
	if _, nested := token.(json.Delim); !nested {
		return token, nil
	}
	if depth == MaxDepth {
		return nil, errDepth
	}
	inner := func(decoder *json.Decoder) (any, error) { return value(decoder, depth+1) }
	if token == json.Delim('{') {
		return readMembers(decoder, inner)
	}
	list := []any{}
	for decoder.More() {
		v, err := inner(decoder)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errDamaged
	}
	return list, nil
}
