// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestMydexPiecesOfKeys protects a member's key from an error page that shows a
// long address from its end, where the key is, or wraps it.
func TestMydexPiecesOfKeys(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	member, _ := c.mydex.Connection(c.mydex.Members()[0].UID)
	wrap := func(s, with string) string {
		var b strings.Builder
		for i := 0; i < len(s); i += 10 {
			b.WriteString(s[i:min(i+10, len(s))] + with)
		}
		return b.String()
	}
	var write func(uri, key string) string
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/pds/") {
			return false
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, write(r.RequestURI, r.URL.Query().Get("key")))
		return true
	})
	for name, f := range map[string]func(uri, key string) string{
		"the end of a long address": func(uri, key string) string { return "near …" + uri[len(uri)-len(url.QueryEscape(key))+1:] },
		"its middle":                func(_, key string) string { return key[2 : len(key)-2] },
		"wrapped":                   func(_, key string) string { return wrap(key, "\r\n") },
		"an address, wrapped":       func(uri, _ string) string { return wrap(uri, "<br>\n") },
		"with <wbr>":                func(_, key string) string { return strings.Join(strings.Split(key, ""), "<wbr>") },
	} {
		write = f
		got := alice.do(http.MethodGet, dataset, "")
		read := strings.NewReplacer("\r", "", "\n", "", "<br>", "", "<wbr>", "").Replace(got.body)
		for i := 0; i+12 <= len(member.Key); i++ {
			if strings.Contains(read, member.Key[i:i+12]) {
				t.Errorf("%s: %q shows a piece of the key", name, got.body)
				break
			}
		}
		if !strings.Contains(got.body, "********") {
			t.Errorf("%s: %q is no echo", name, got.body)
		}
	}
}
