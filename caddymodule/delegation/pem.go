// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"strings"
)

// byteOrderMark is written before a text by editors on Windows.
const byteOrderMark = "\uFEFF"

// lineBreaks replaces the line breaks that environment files and YAML leave as two
// or four characters, and those of Windows.
var lineBreaks = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n", "\r\n", "\n", "\r", "\n")

// NormalizePEM returns a text of PEM blocks in the form that encoding/pem reads,
// however files, environments and secret stores hand it over: with a byte order
// mark, in quotes, with blanks around its lines, with line breaks of Windows or
// written as `\n`. All settings that take a key or certificates are read by it,
// so that what works for one works for all.
func NormalizePEM(text string) []byte {
	text = unquote(trimByteOrderMark(text))
	lines := strings.Split(lineBreaks.Replace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return []byte(strings.TrimSpace(strings.Join(lines, "\n")) + "\n")
}

// trimByteOrderMark removes a byte order mark and white space around a text.
func trimByteOrderMark(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), byteOrderMark))
}

// unquote removes the quotes around a text.
func unquote(text string) string {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// TrimSecret returns a secret without a byte order mark before it and line breaks
// around it, which no secret is meant to have. odd describes all that looks as if
// it did not belong to the secret, for a warning; "" if nothing does. Spaces and
// quotes may belong to it, and stay.
func TrimSecret(text string) (secret, odd string) {
	var all []string
	note := func(what string) { all = append(all, what) }
	secret, marked := strings.CutPrefix(text, byteOrderMark)
	if marked {
		note("it begins with a byte order mark, which was left out")
	}
	if trimmed := strings.Trim(secret, "\r\n"); trimmed != secret {
		secret = trimmed
		note("it begins or ends with line breaks, which were left out")
	}
	if strings.TrimSpace(secret) != secret {
		note("it begins or ends with white space, which is taken as part of it")
	}
	if unquote(secret) != secret {
		note("it stands in quotes, which are taken as part of it")
	}
	if strings.HasSuffix(secret, `\n`) {
		note(`it ends with a backslash and an n, which are taken as part of it`)
	}
	return secret, strings.Join(all, "; ")
}

// Printable returns a foreign text for a log or an error: in one line, without
// control characters, and of most bytes at most, plus "…" where it was cut.
func Printable(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\uFFFD' || c == '\u2028' || c == '\u2029' {
			return '?'
		}
		return c
	}, text)
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
