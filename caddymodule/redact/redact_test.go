// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

// A key with every character that some writer escapes.
const key = `k3y/4+5=6&7"8'9<A>B%C\D~F-0123456789`

// spellings are ways in which programs repeat a text.
func spellings() map[string]func(string) string {
	object := func(s string) string { text, _ := json.Marshal(s); return strings.Trim(string(text), `"`) }
	each := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for _, c := range []byte(s) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	alternate := func(a, b string) func(string) string {
		return func(s string) string {
			var out strings.Builder
			for i, c := range []byte(s) {
				fmt.Fprintf(&out, []string{a, b, "%c"}[i%3], c)
			}
			return out.String()
		}
	}
	return map[string]func(string) string{
		"raw":                func(s string) string { return s },
		"query":              url.QueryEscape,
		"query, lower":       func(s string) string { return strings.ToLower(url.QueryEscape(s)) },
		"path":               url.PathEscape,
		"query twice":        func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"query thrice":       func(s string) string { return url.QueryEscape(url.QueryEscape(url.QueryEscape(s))) },
		"html":               html.EscapeString,
		"html of a query":    func(s string) string { return html.EscapeString(url.QueryEscape(s)) },
		"json":               object,
		"json of json":       func(s string) string { return object(object(s)) },
		"json of a query":    func(s string) string { return object(url.QueryEscape(s)) },
		"php":                func(s string) string { return strings.ReplaceAll(object(s), "/", `\/`) },
		"decimal":            each("&#%d;"),
		"decimal, padded":    each("&#%05d;"),
		"hex":                each("&#x%x;"),
		"hex, upper":         each("&#X%02X;"),
		"percent":            each("%%%02x"),
		"unicode":            each(`\u%04x`),
		"unicode, upper":     each(`\u%04X`),
		"javascript":         each(`\x%02x`),
		"utf-16":             each("%c\x00"),
		"utf-16, big":        each("\x00%c"),
		"utf-32":             each("%c\x00\x00\x00"),
		"now this, now that": alternate("%%%02X", "&#%d;"),
		"now that, now this": alternate(`\u%04x`, "%%25%02x"),
	}
}

// A page that repeats the address it was asked by must not hand the key in it
// to the browser, whichever way it writes it and however it arrives (R-a).
func TestRa_EverySpelling(t *testing.T) {
	for name, write := range spellings() {
		secret := key
		if strings.Contains(name, "lower") {
			secret = strings.ToLower(key)
		}
		s, echo := New("another", secret), write(secret)
		text := "<p>" + echo + "</p>" + echo[:len(echo)-1] + "|"
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
			"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, err := io.ReadAll(s.Reader(io.NopCloser(r)))
			if err != nil || len(got) != len(text) {
				t.Fatalf("%s, %s: %d bytes, %v", name, how, len(got), err)
			}
			if at := len("<p>") + len(echo); !strings.HasPrefix(string(got[at:]), "</p>") || strings.Trim(strings.TrimLeft(string(got[:at]), "<p>\x00"), "*\x00") != "" {
				t.Errorf("%s, %s: %q", name, how, got)
			}
			if rest := string(got[len("<p></p>")+len(echo):]); !strings.HasPrefix(strings.TrimLeft(rest, "\x00"), "********") || !strings.HasSuffix(rest, "|") {
				t.Errorf("%s, %s, cut off: %q", name, how, rest)
			}
		}
		if got := s.Text("a " + echo); strings.Contains(got, "0123") || !strings.HasPrefix(got, "a ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A long address is shown from its end as well, where the key is, and wrapped.
// No twelve characters of a key are seen in one piece.
func TestRa_PiecesOfKeys(t *testing.T) {
	wrap := func(with string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for i := 0; i < len(s); i += 10 {
				b.WriteString(s[i:min(i+10, len(s))] + with)
			}
			return b.String()
		}
	}
	pieces := map[string]func(string) string{
		"front":  func(s string) string { return s[5:] },
		"middle": func(s string) string { return s[9 : len(s)-9] },
		"twelve": func(s string) string { return s[len(s)-12:] },
		"lines":  wrap("\n"), "CRLF": wrap("\r\n"), "indented": wrap("\n\t    "), "<br>": wrap("<br />\n"), "<wbr>": wrap("<wbr>"), "json": wrap(`\n`),
		"spelled": func(s string) string { return url.QueryEscape(s[7:20]) },
		"lines of entities, cut off": func(s string) string {
			var b strings.Builder
			for i, c := range []byte(s[3:]) {
				fmt.Fprintf(&b, "&#%d;", c)
				if i%7 == 6 {
					b.WriteString("\r\n  ")
				}
			}
			return b.String()
		},
	}
	for name, cut := range pieces {
		echo := cut(key)
		for how, r := range map[string]io.Reader{"whole": strings.NewReader("…" + echo + "!"), "byte by byte": iotest.OneByteReader(strings.NewReader("…" + echo + "!"))} {
			got, err := io.ReadAll(New("another", key).Reader(io.NopCloser(r)))
			if want := "…" + strings.Repeat("*", len(strings.TrimRight(echo, "\r\n\t\\n </>brw"))); err != nil || len(got) != len("…"+echo+"!") || !strings.HasPrefix(string(got), want) || !strings.HasSuffix(string(got), "!") {
				t.Errorf("%s, %s: %q, %v", name, how, got, err)
			}
		}
	}
	for _, text := range []string{key[:11], key[3:14] + " " + key[14:25], "a\nb\r\n\n<br><b\\n\\r"} {
		if got := New(key).Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// What is no secret stays byte for byte, and comes without waiting for the end.
func TestRa_TheRestStays(t *testing.T) {
	for _, text := range []string{
		"", "k3y", "k3y/4+5", "%", "%2", "%25", "&", "&amp", "&amp;", "&#x2f", `\`, `\u`, `\u00`, "k3y%2", `k3y\u002f4`, "k3y/4+5=6&amp", strings.Repeat("%25", 100) + "2f", strings.Repeat(`\`, 1000),
		"k\x00\x00\x00\x00", strings.Repeat("k3y/", 1000), "\xff\xfe", `{"a":"b\u00e9\n","c":[1,2]}`,
	} {
		if got := New(key, "").Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := New("abc", "bcdef").Text("xabcbcdefabcx"); got != "x***********x" {
		t.Errorf("%q", got)
	}
	random := bytes.Repeat([]byte(`0k%&\`), 20_000)
	got, err := io.ReadAll(New(key).Reader(io.NopCloser(bytes.NewReader(random))))
	if err != nil || !bytes.Equal(got, random) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	in, out := io.Pipe()
	go func() { _, _ = out.Write([]byte("data: 1\n\n")) }()
	buf := make([]byte, 100)
	if n, err := New(key).Reader(in).Read(buf); err != nil || string(buf[:n]) != "data: 1\n\n" {
		t.Errorf("%q %v", buf[:n], err)
	}
	failing := New(key).Reader(io.NopCloser(io.MultiReader(strings.NewReader("abc k3y"), iotest.ErrReader(errors.ErrUnsupported))))
	if got, err := io.ReadAll(failing); string(got) != "abc k3y" || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%q %v", got, err)
	}
}

// FuzzRa protects lengths, and the key, in any text and any pieces.
func FuzzRa(f *testing.F) {
	f.Add("x", "y", uint8(3))
	f.Add("%25", "&#", uint8(1))
	f.Fuzz(func(t *testing.T, before, after string, size uint8) {
		text := before + key + after
		s := New(key)
		var r io.Reader = strings.NewReader(text)
		if size%2 == 1 {
			r = iotest.OneByteReader(r)
		}
		got, err := io.ReadAll(s.Reader(io.NopCloser(r)))
		if err != nil || len(got) != len(text) || strings.Contains(string(got), key) || string(got) != s.Text(text) {
			t.Fatalf("%q became %q, %v", text, got, err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := []byte(strings.Repeat(`{"uid":"4020","name":"Robin","k":1.5},`, 1000))
	s := New(key, "ory_at_0123456789abcdef0123456789abcdef")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = io.Copy(io.Discard, s.Reader(io.NopCloser(bytes.NewReader(text))))
	}
}

// TestRa_LastCharacterCut protects the rest of an escape whose beginning reads as
// the last character of the key: of \u0075, cut in two, `\u` does.
func TestRa_LastCharacterCut(t *testing.T) {
	for _, value := range []string{"0123456789abcdef-u", "0123456789abcdef-x", "0123456789abcdef-U", "0123456789abcdef-&", "0123456789abcdef-%"} {
		for name, write := range spellings() {
			value := value
			if strings.Contains(name, "lower") {
				value = strings.ToLower(value)
			}
			text := write(value)
			for at := range text {
				body := io.NopCloser(io.MultiReader(strings.NewReader(text[:at]), strings.NewReader(text[at:])))
				got, err := io.ReadAll(New(value).Reader(body))
				if err != nil || strings.Trim(string(got), "*\x00") != "" {
					t.Errorf("%s of %s, cut at %d: %q, %v", name, value, at, got, err)
				}
			}
		}
	}
}
