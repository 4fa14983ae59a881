// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"strconv"
	"strings"
)

// phpArray is a query as PHP hands it to a program, $_GET: values are strings
// or arrays.
type phpArray map[string]any

// maxInputVars is how many parameters PHP reads by default; the rest is dropped.
const maxInputVars = 1000

// readQuery reads a raw query as PHP does. The names it makes out of what was
// sent matter most: a proxy that removes "uid" from a query must also know
// what else will be read as uid over there.
func readQuery(raw string) phpArray {
	query := phpArray{}
	count := 0
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if count++; count > maxInputVars {
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		query.register(phpDecode(name), phpDecode(value))
	}
	return query
}

// ReadQuery is what the API reads a raw query as, PHP's $_GET: values are
// strings, or arrays of their own.
func ReadQuery(raw string) map[string]any { return readQuery(raw) }

// phpDecode is urldecode: what is no escape stays as it is.
func phpDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
			continue
		case s[i] == '%' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// foldName turns into an underscore what PHP's variables cannot have in their names.
var foldName = strings.NewReplacer(" ", "_", ".", "_", "[", "_")

// register is php_register_variable_ex: leading spaces and what follows a NUL
// are cut off, dots and spaces before the first bracket become underscores,
// brackets make arrays, an unclosed one becomes an underscore, and the last of
// several wins.
func (a phpArray) register(name, value string) {
	name = strings.TrimLeft(name, " ")
	name, _, _ = strings.Cut(name, "\x00")
	head, rest, bracket := strings.Cut(name, "[")
	if head == "" {
		return
	}
	index := foldName.Replace(head)
	array := a
	for depth := 0; bracket; depth++ {
		if depth == 64 {
			return // max_input_nesting_level
		}
		inner, after, closed := strings.Cut(rest, "]")
		if !closed {
			if depth == 0 {
				index = foldName.Replace(name)
			}
			break
		}
		if len(inner) == 1 && strings.TrimSpace(inner) == "" {
			inner = "" // "[ ]" appends as "[]" does
		}
		array = array.child(index)
		index = inner
		if index == "" {
			index = array.next()
		}
		// What stands between a closing and the next opening bracket ends the name.
		bracket = strings.HasPrefix(after, "[")
		rest = strings.TrimPrefix(after, "[")
	}
	array[index] = value
}

// child is the array below an index; a string there gives way.
func (a phpArray) child(index string) phpArray {
	if c, ok := a[index].(phpArray); ok {
		return c
	}
	c := phpArray{}
	a[index] = c
	return c
}

// next is the index one above the highest number.
func (a phpArray) next() string {
	highest := -1
	for index := range a {
		if n, err := strconv.Atoi(index); err == nil && strconv.Itoa(n) == index {
			highest = max(highest, n)
		}
	}
	return strconv.Itoa(highest + 1)
}

// text returns a parameter that must be a string. An array is refused as the
// platform refuses what it cannot use.
func (a phpArray) text(name string) (string, *refusal) {
	switch v := a[name].(type) {
	case nil:
		return "", bad("Missing parameter: " + name)
	case string:
		if v == "" {
			return "", bad("Missing parameter: " + name)
		}
		return v, nil
	}
	return "", bad("Invalid parameter: " + name)
}

// optional is text for a parameter that may be left out.
func (a phpArray) optional(name, otherwise string) (string, *refusal) {
	if _, ok := a[name]; !ok {
		return otherwise, nil
	}
	return a.text(name)
}
