// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// values are one of each type of JSON, and those at the edges.
var values = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `1.5`, `1e3`, `9007199254740993`, `""`, `"x"`, `"1"`, `[]`, `["x"]`, `{}`, `{"a":1}`,
}

// outcomes tell how a question ends for each of the values: o lets somebody in, 1
// is 401, 3 is 503; 5 would be 503 by an outage, which no answer of 200 is.
var outcomes = map[string]string{
	"endpoint %s":                               "1313333333333311",
	`endpoint {"user":%s}`:                      "1111111111111111",
	`endpoint {"user":{"id":%s}}`:               "1311o333o1oo3333",
	`endpoint {"user":{"id":"x"},"expires":%s}`: "o331131133313333",

	"introspection %s":                "3333333333333311",
	`introspection {"active":%s}`:     "1o11111111111111",
	`introspection {"sub":%s}`:        "1311o333o1oo3333",
	`introspection {"iss":%s}`:        "1333333331113333",
	`introspection {"aud":%s}`:        "1333333331111133",
	`introspection {"exp":%s}`:        "o331131133333333",
	`introspection {"nbf":%s}`:        "o33oo3oo33333333",
	`introspection {"sid":%s}`:        "o33333333ooo3333",
	`introspection {"typ":%s}`:        "o33333333ooo3333",
	`introspection {"token_type":%s}`: "o33333333ooo3333",
	`introspection {"token_use":%s}`:  "o33333333o113333",
	`introspection {"cnf":%s}`:        "o111111111111111",
	`introspection {"events":%s}`:     "o111111111111111",
}

// letter is how a question has ended.
func letter(t *testing.T, s *Session, err error) byte {
	t.Helper()
	return map[string]byte{"": 'o', required: '1', unknowable: '3', nobodyKnows: '5'}[outcome(t, s, err)]
}

// TestAnswerTypes protects the way in from answers of any type in any place: they
// let in whom they name, sign out who is not signed in, and leave the rest open.
func TestAnswerTypes(t *testing.T) {
	for place, want := range outcomes {
		kind, form, _ := strings.Cut(place, " ")
		for i, value := range values {
			body := strings.ReplaceAll(form, "%s", value)
			j := &fakeServer{body: body}
			var v Verifier = appEndpoint(j.client())
			if kind == "introspection" {
				if name, _, ok := strings.Cut(strings.TrimPrefix(form, `{"`), `"`); ok && form != "%s" {
					j.body = introspected(name, value)
				}
				v = introspection(j.client())
			}
			s, err := v.Verify(t.Context(), bearer(askedCredential))
			if got := letter(t, s, err); got != want[i] {
				t.Errorf("%s with %s: %c, want %c: %v", place, value, got, want[i], errors.Unwrap(err))
			}
			if cause := fmt.Sprint(errors.Unwrap(err)); want[i] == '3' && !strings.Contains(cause, "status 200, application/json") {
				t.Errorf("%s with %s: the log says %s", place, value, cause)
			}
		}
	}
}

// introspected is an answer that is good but for one value.
func introspected(name, value string) string {
	all := map[string]string{"active": "true", "sub": `"alice"`, "iss": `"` + testIssuer + `"`, "aud": `"app"`, name: value}
	var fields []string
	for name, value := range all {
		fields = append(fields, `"`+name+`":`+value)
	}
	slices.Sort(fields)
	return "{" + strings.Join(fields, ",") + "}"
}

// TestAnswerStatuses protects users from being signed out by an app in trouble,
// and nobody from being let in by any status but 200.
func TestAnswerStatuses(t *testing.T) {
	out, down := []int{204, 302, 303, 307, 401, 403, 404, 419}, []int{502, 503, 504}
	for status := 100; status <= 599; status++ {
		for name, c := range map[string]struct {
			verifier func(*http.Client) Verifier
			body     string
			kind     string
			out      bool
		}{
			"endpoint":      {func(c *http.Client) Verifier { return appEndpoint(c) }, `{"user":{"id":"alice"}}`, "text/html", slices.Contains(out, status)},
			"introspection": {func(c *http.Client) Verifier { return introspection(c) }, introspected("n", "1"), "application/json", false},
		} {
			s, err := c.verifier((&fakeServer{status: status, kind: c.kind + "; charset=leak", body: c.body}).client()).Verify(t.Context(), bearer(askedCredential))
			want := byte('3')
			switch {
			case c.out:
				want = '1'
			case status == http.StatusOK:
				want = 'o'
			case slices.Contains(down, status), name == "introspection" && status == http.StatusUnauthorized: // our own secret
				want = '5'
			}
			if got := letter(t, s, err); got != want {
				t.Errorf("%s %d: %c, want %c", name, status, got, want)
			}
			if err == nil {
				continue
			}
			said := fmt.Sprintf("status %d", status)
			if want != '1' {
				said += ", " + c.kind
			}
			if cause := errors.Unwrap(err).Error(); !strings.Contains(cause, said) {
				t.Errorf("%s %d: the log says %s", name, status, cause)
			}
		}
	}
}

// TestAnswerSizes protects users whose answer is large, and memory from one that
// never ends: from one byte on.
func TestAnswerSizes(t *testing.T) {
	verifiers := func(c *http.Client) []Verifier { return []Verifier{appEndpoint(c), introspection(c)} }
	for b := range 256 {
		for i, v := range verifiers((&fakeServer{body: string([]byte{byte(b)})}).client()) {
			s, err := v.Verify(t.Context(), bearer(askedCredential))
			blank := i == 0 && strings.Contains(" \t\r\n\v\f", string([]byte{byte(b)}))
			if got := letter(t, s, err); got != map[bool]byte{true: '1', false: '3'}[blank] {
				t.Errorf("the byte %d: %c", b, got)
			}
		}
	}
	for size, want := range map[int]byte{200: 'o', 16 << 10: 'o', 17 << 10: 'o', 300 << 10: 'o', maxBody: 'o', maxBody + 1: '3', 3 * maxBody: '3'} {
		body := `{"user":{"id":"alice"},` + introspected("n", "1")[1:]
		body = `{"avatar":"` + strings.Repeat("x", size-len(body)-len(`"avatar":"",`)) + `",` + body[1:]
		for _, v := range verifiers((&fakeServer{body: body}).client()) {
			s, err := v.Verify(t.Context(), bearer(askedCredential))
			if got := letter(t, s, err); got != want || len(body) != size {
				t.Errorf("%d bytes: %c, want %c: %v", len(body), got, want, errors.Unwrap(err))
			}
			if err != nil && !strings.Contains(errors.Unwrap(err).Error(), fmt.Sprintf("larger than %d bytes", maxBody)) {
				t.Errorf("the log says %v", errors.Unwrap(err))
			}
		}
	}
	for name, text := range map[string]string{"lists": "[", "objects": `{"a":`, "strings": `{"a":"`} {
		body := `{"user":{"id":"alice"},"x":` + strings.Repeat(text, maxBody/len(text)-100)
		for _, v := range verifiers((&fakeServer{body: body}).client()) {
			if s, err := v.Verify(t.Context(), bearer(askedCredential)); letter(t, s, err) != '3' {
				t.Errorf("%s in each other: %+v", name, s)
			}
		}
	}
	for kind, want := range map[string]byte{"endless": '3', "cut off": '5'} {
		body := io.ReadCloser(new(endless))
		if kind == "cut off" {
			body = io.NopCloser(io.MultiReader(strings.NewReader(`{"user":{"id":"alice"}}`), brokenOff{}))
		}
		client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: req}, nil
		})}
		for _, v := range verifiers(client) {
			if s, err := v.Verify(t.Context(), bearer(askedCredential)); letter(t, s, err) != want {
				t.Errorf("%s: %+v, %v", kind, s, err)
			}
		}
	}
}

// brokenOff is a body that breaks off.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestC19_Kept protects memory: of a large answer little is remembered with the
// session, and of a small one all.
func TestC19_Kept(t *testing.T) {
	verify := func(body string) *Session {
		t.Helper()
		s, err := appEndpoint((&fakeServer{body: body}).client()).Verify(t.Context(), bearer(askedCredential))
		if err != nil {
			t.Fatal(errors.Unwrap(err))
		}
		return s
	}
	const small = `"mail":"a@example.org","user":{"id":"alice","org":{"unit":7,"active":true}}`
	picture := `"avatar":"` + strings.Repeat("x", 5000) + `",`
	if got, _ := verify(`{` + picture + small + `}`).Claim("avatar"); len(got) != 5000 {
		t.Errorf("of a small answer %d bytes", len(got))
	}
	for name, more := range map[string]string{
		"a picture": `"avatar":"` + strings.Repeat("x", 400<<10) + `",`,
		"a list":    `"groups":[` + strings.Repeat(`"a group of many",`, 20_000) + `""],`,
		"names":     `"z":{` + names(20_000) + `"z":""},`,
		"objects":   `"z":{` + strings.Repeat(`"z":{`, 40) + names(20_000) + `"z":""` + strings.Repeat("}", 41) + `,`,
	} {
		s := verify(`{` + more + small + `}`)
		for path, want := range map[string]string{"mail": "a@example.org", "user.org.unit": "7", "user.org.active": "true", "avatar": "", "groups": ""} {
			if got, _ := s.Claim(path); got != want {
				t.Errorf("%s: %s is %.20q", name, path, got)
			}
		}
		if n := weight(s.claims); n > maxStoredClaims || s.Subject != "alice" {
			t.Errorf("%s: %d bytes are kept of %s", name, n, s.Subject)
		}
	}
}

// names are fields of an object, of which each is small.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"n%d":%d,`, i, i)
	}
	return b.String()
}

// weight is what names and texts of an object take.
func weight(object map[string]any) (n int) {
	for name, v := range object {
		text, _ := formatScalar(v)
		n += len(name) + len(text)
		if inner, ok := v.(map[string]any); ok {
			n += weight(inner)
		}
	}
	return n
}
