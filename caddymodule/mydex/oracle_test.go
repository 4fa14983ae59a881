// SPDX-License-Identifier: Apache-2.0

package mydex

import "strings"

// php reads a query as PHP does. It follows php_default_treat_data and
// php_register_variable_ex, and shares nothing with the code that is tested.
type php struct {
	separators string // arg_separator.input; "&" unless somebody changed it
	older      bool   // before PHP 8.1, only the first "[" of an unclosed one became "_"
}

type phpVar struct {
	name  string
	array bool
	value string
}

func (p php) parse(query string) []phpVar {
	var vars []phpVar
	for _, token := range strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune(p.separators, r) }) {
		name, value, _ := strings.Cut(token, "=")
		name, array := p.register(phpDecode(name))
		if name != "" {
			vars = append(vars, phpVar{name, array, phpDecode(value)})
		}
	}
	return vars
}

// register returns the name under which a variable is kept, and whether it is
// an array there.
func (p php) register(name string) (string, bool) {
	b := []byte(name)
	if i := strings.IndexByte(name, 0); i >= 0 {
		b = b[:i]
	}
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	at := 0
	for ; at < len(b) && b[at] != '['; at++ {
		if b[at] == ' ' || b[at] == '.' {
			b[at] = '_'
		}
	}
	if at == 0 || at == len(b) {
		return string(b[:at]), false
	}
	index := b[at+1:]
	if strings.IndexByte(string(index), ']') >= 0 {
		return string(b[:at]), true
	}
	b[at] = '_'
	if !p.older {
		for i, c := range index {
			if c == ' ' || c == '.' || c == '[' {
				index[i] = '_'
			}
		}
	}
	return string(b), false
}

// phpDecode is urldecode: what is malformed stays.
func phpDecode(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && strings.IndexByte(hexDigits, s[i+1]) >= 0 && strings.IndexByte(hexDigits, s[i+2]) >= 0:
			out.WriteByte(nibble(s[i+1])*16 + nibble(s[i+2]))
			i += 2
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

const hexDigits = "0123456789abcdefABCDEF"

func nibble(c byte) byte {
	i := strings.IndexByte(hexDigits, c)
	if i > 15 {
		i -= 6
	}
	return byte(i)
}
