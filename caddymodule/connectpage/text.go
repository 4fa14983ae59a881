// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"fmt"
	"html/template"
	"strings"
)

// Say returns a text as HTML. Each value is escaped, and isolated from the text
// around it in its direction (Unicode UAX #9): a name in Arabic, or one with
// characters that turn the direction, changes nothing else of the sentence.
func (v *view) Say(key string, values ...string) (template.HTML, error) {
	text, err := v.text(template.HTMLEscapeString, "<bdi>", "</bdi>", key, values)
	return template.HTML(text), err // #nosec G203 -- all of it is escaped
}

// The characters that isolate a value where there are no elements.
const (
	firstStrongIsolate    = "\u2068"
	popDirectionalIsolate = "\u2069"
)

// Plain returns a text without elements, such as for an attribute or a title.
func (v *view) Plain(key string, values ...string) (string, error) {
	return v.text(func(s string) string { return s }, firstStrongIsolate, popDirectionalIsolate, key, values)
}

// text returns the text of a key, with its values, which are pairs of name and
// value. The error is a mistake of this package: a test renders all pages.
func (v *view) text(escape func(string) string, before, after, key string, values []string) (string, error) {
	text, ok := v.Language.texts[key]
	if !ok {
		return "", fmt.Errorf("connectpage: language %s has no text %q", v.Language.Tag, key)
	}
	pairs := make([]string, 0, len(values))
	for i := 0; i+1 < len(values); i += 2 {
		pairs = append(pairs, "{"+values[i]+"}", before+escape(values[i+1])+after)
	}
	// One pass, so that a value that looks like a placeholder remains as it is.
	return strings.NewReplacer(pairs...).Replace(escape(text)), nil
}
