// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/net/http/httpguts"
)

// FuzzFind looks for Cookie and Authorization headers that this package reads
// in another way than net/http does: what it finds is what net/http finds, and
// nothing if that finds more than one.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"__Host-session=abc", "a=b; __Host-session=\"abc\"", "__Host-session=a; __Host-session=b", "__Host-session =a", "=;__Host-session=a=b"} {
		f.Add(seed, "Bearer abc")
	}
	carrier := Carrier{Cookie: "__Host-session", Bearer: true}
	f.Fuzz(func(t *testing.T, cookie, authorization string) {
		h := http.Header{"Cookie": strings.Split(cookie, "\n"), "Authorization": {authorization}}
		for _, value := range append(h["Cookie"], authorization) {
			if !httpguts.ValidHeaderFieldValue(value) {
				return // no server takes it
			}
		}
		got, err := carrier.Find(h)
		if err != nil {
			return
		}
		if got.Text == "" || len(got.Text) > maxCredential || strings.ContainsAny(got.Text, "\"\\,; \t\r\n\x00\x7f") {
			t.Fatalf("%q", got.Text)
		}
		all := (&http.Request{Header: h}).CookiesNamed(carrier.Cookie)
		switch {
		case got.Slot == InCookie && len(all) != 1, got.Slot == InCookie && all[0].Value != got.Text:
			t.Errorf("found %q, net/http %v", got.Text, all)
		case got.Slot == InBearer && len(all) > 0:
			t.Errorf("the cookie %v was passed over", all)
		}
	})
}

// FuzzJWT looks for tokens that are taken though nobody has signed them.
func FuzzJWT(f *testing.F) {
	key := newKey(f)
	good := sign(f, jose.ES256, key, map[string]any{"typ": "JWT"}, claims(map[string]any{"exp": time.Now().Add(1000 * time.Hour).Unix()}))
	f.Add(good)
	f.Add(raw(`{"alg":"none"}`, `{"sub":"alice"}`, ""))
	f.Add(raw(`{"alg":"ES256","jwk":{}}`, `{}`, "x"))
	f.Add(strings.Replace(good, ".", "..", 1))
	j := verifierOf(&Fixed{[]any{key.Public()}})
	b := NewBackchannel(j)
	body := good[:strings.LastIndexByte(good, '.')]
	f.Fuzz(func(t *testing.T, text string) {
		s, err := j.Verify(t.Context(), bearer(text))
		if findings := j.Explain(t.Context(), bearer(text)); explained(findings) != (err == nil) {
			t.Errorf("%v, explained as %+v", err, findings)
		}
		if err == nil && (!strings.HasPrefix(text, body+".") || s.Subject != "alice") {
			t.Errorf("taken: %q", text)
		}
		if l, err := b.Read(t.Context(), text); err == nil {
			t.Errorf("a logout: %+v", l)
		}
	})
}

// FuzzDocument looks for answers about sessions that make the reader fall over,
// or say more than single values.
func FuzzDocument(f *testing.F) {
	f.Add(`{"active":true,"sub":"alice","exp":1.5e9,"user":{"id":"x"}}`, "user.id")
	f.Add(`{"a":{"a":{"a":[1]}}}`, "a.a.a")
	f.Add(`{"sub":"a","sub":"b"}`, "sub")
	f.Fuzz(func(t *testing.T, text, path string) {
		d, err := readDocument([]byte(text))
		if err != nil {
			return
		}
		s := &Session{claims: d}
		_, _ = s.Claim(path)
		_, _ = d.strings(path)
		if at, err := d.time(path); err == nil && at.Year() > 40000 {
			t.Errorf("%s", at)
		}
		if name, err := d.user(path); err == nil && (len(name) > maxSubject || strings.ContainsAny(name, "\x00\r\n")) {
			t.Errorf("%q", name)
		}
	})
}
