// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestRa_MydexKeysAreNotRepeated protects a member's key, which stands in the
// address of requests, from a platform that repeats what it was called by.
func TestRa_MydexKeysAreNotRepeated(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	records := c.mydex.Records()
	last := records[len(records)-1]
	query, err := url.ParseQuery(last.RawQuery)
	if err != nil || query.Get("key") == "" {
		t.Fatalf("no key in %s: %v", last.RawQuery, err)
	}
	key, bearer := query.Get("key"), strings.TrimPrefix(last.Header.Get("Authorization"), "Bearer ")
	clean := func(what string, a answer) {
		t.Helper()
		text := fmt.Sprint(a.Header, a.Trailer, a.Status, a.body)
		for _, unread := range []func(string) string{func(s string) string { return s }, html.UnescapeString, func(s string) string { t, _ := url.PathUnescape(s); return t }} {
			for range 2 {
				text = unread(text)
				for _, secret := range []string{key, bearer} {
					if strings.Contains(text, secret) || strings.Contains(text, secret[:len(secret)/2]) {
						t.Errorf("%s: %d hands out the credential", what, a.StatusCode)
						return
					}
				}
			}
		}
	}
	for _, path := range []string{dataset, "/pdx/timeline"} {
		for _, status := range []int{200, 400, 404, 500, 503} {
			c.mydex.Set(func(s *mydex.Settings) { s.EchoAddress = status })
			got := alice.do(http.MethodGet, path, "")
			got.want(t, status, "")
			clean("the simulator's page", got)
			if !strings.Contains(got.body, "con_id=") || !strings.Contains(got.body, "****") {
				t.Errorf("it is no echo: %s", got.body)
			}
		}
	}
	c.mydex.Set(func(s *mydex.Settings) { s.EchoAddress = 0 })

	kinds := []string{"text/html", "application/json", "application/xml", "text/plain", "image/svg+xml", "application/octet-stream", ""}
	escape := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for _, c := range []byte(s) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	writers := map[string]func(string) string{
		"raw": func(s string) string { return s }, "query": url.QueryEscape, "twice": func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }, "lower": func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "%2f") },
		"html": html.EscapeString, "percent": escape("%%%02x"), "decimal": escape("&#%d;"), "hex": escape("&#x%X;"), "json": escape(`\u%04x`),
	}
	write, kind, pieces := writers["raw"], "", 0
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/pds/") {
			return false
		}
		if r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("Range") != "" {
			t.Errorf("the platform is asked for %v", r.Header)
		}
		echo := write(r.URL.Query().Get("key")) + " " + write(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		w.Header()["Content-Type"] = []string{kind}
		w.WriteHeader(http.StatusBadRequest)
		for len(echo) > 0 { // cut anywhere
			n := min(len(echo), 1+pieces)
			_, _ = io.WriteString(w, echo[:n])
			_ = http.NewResponseController(w).Flush()
			echo = echo[n:]
		}
		return true
	})
	for name, f := range writers {
		write = f
		for i, k := range kinds {
			kind, pieces = k, []int{0, 1, 6, 30, 1000, 1 << 20, 3}[i]
			got := alice.do(http.MethodGet, dataset, "", "Range", "bytes=40-60", "Accept-Encoding", "gzip, br")
			got.want(t, http.StatusBadRequest, "")
			if strings.Trim(got.body, "* ") != "" || got.body == "" {
				t.Errorf("%s of %s, in pieces of %d: %q", name, kind, pieces+1, got.body)
			}
		}
	}
	// What it compresses all the same cannot be searched.
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/pds/") {
			return false
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, r.RequestURI)
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(b.Bytes())
		return true
	})
	got := alice.do(http.MethodGet, dataset, "")
	got.want(t, http.StatusBadGateway, "upstream_unreadable")
	clean("a compressed page", got)
	if strings.Contains(got.body, base64.StdEncoding.EncodeToString([]byte(key))) {
		t.Error(got.body)
	}
}
