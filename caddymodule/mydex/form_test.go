// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A form's fields win over the query's in PHP (T54).
func TestT54_FormsAreRefused(t *testing.T) {
	for _, v := range []string{
		"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/X-WWW-Form-Urlencoded",
		"application/x-www-form-urlencoded,application/json", "application/x-www-form-urlencoded json", " application/x-www-form-urlencoded",
		"multipart/form-data; boundary=x", "Multipart/Form-Data", "multipart/mixed",
	} {
		for _, name := range []string{"Content-Type", "Content_Type", "content-type"} {
			out := outgoing(t, "POST", "/api/pds/transaction", "a=1")
			out.Header[name] = []string{"application/json", v}
			err := credential(t, "POST", "/api/pds/transaction").Apply(out)
			if code(err) != delegation.RouteDenied || !errors.Is(err, errForm) {
				t.Errorf("%s: %q: %v", name, v, err)
			}
			if len(out.Header["Authorization"]) > 0 || out.URL.RawQuery != "a=1" {
				t.Errorf("%s: %q: a refused request has the credential", name, v)
			}
		}
	}
}

func TestBodyIsDeclared(t *testing.T) {
	for _, c := range []struct {
		body   io.ReadCloser
		length int64
		before []string
		after  string
	}{
		{io.NopCloser(strings.NewReader("{}")), 2, nil, "application/json"},
		{io.NopCloser(strings.NewReader("{}")), -1, []string{""}, "application/json"},
		{io.NopCloser(strings.NewReader("{}")), 2, []string{"text/plain;charset=UTF-8"}, "text/plain;charset=UTF-8"},
		{io.NopCloser(strings.NewReader("{}")), 2, []string{"application/xml"}, "application/xml"},
		{http.NoBody, 0, nil, ""},
		{nil, 0, nil, ""},
		{io.NopCloser(strings.NewReader("")), 0, nil, ""},
	} {
		out := outgoing(t, "DELETE", "/calendar/delete-event", "")
		out.Body, out.ContentLength = c.body, c.length
		if c.before != nil {
			out.Header["Content-Type"] = c.before
		}
		if err := credential(t, "DELETE", "/calendar/delete-event").Apply(out); err != nil {
			t.Fatal(err)
		}
		if got := out.Header.Get("Content-Type"); got != c.after || out.Body != c.body || out.ContentLength != c.length {
			t.Errorf("%v: type %q, want %q; length %d", c.before, got, c.after, out.ContentLength)
		}
	}
}
