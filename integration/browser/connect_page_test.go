// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConnectPage protects people who connect their sources, in Chromium against a
// server of the test's own: with script, without, and in a popup under
// Cross-Origin-Opener-Policy on both sides; by keyboard and screen reader, on a phone,
// in all languages; and what of it is for their protection (T68).
func TestConnectPage(t *testing.T) {
	read := []string{"connect_page.test.mjs", "connect_popup.test.mjs", "connect_page.mjs"}
	for _, pattern := range []string{"*.js", "*.css", "*/*.html", "*/*.json"} {
		files, err := filepath.Glob("../../caddymodule/connectpage/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		read = append(read, files...)
	}
	for _, file := range read {
		if _, err := os.ReadFile(file); err != nil { // so that a change is not answered from the test cache
			t.Fatal(err)
		}
	}
	docs, err := os.ReadFile("../../caddymodule/docs/connect-page.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := newPageServer()
	_, pages.example, _ = strings.Cut(string(docs), "```html\n")
	pages.example, _, _ = strings.Cut(pages.example, "```")
	vendor := httptest.NewServer(http.HandlerFunc(servePageVendor))
	defer vendor.Close()
	pages.vendorURL = strings.Replace(vendor.URL, "127.0.0.1", "localhost", 1) // another site
	app := httptest.NewServer(pages)
	defer app.Close()
	for _, file := range []string{"connect_page.test.mjs", "connect_popup.test.mjs"} {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			runNode(t, []string{file}, "APP_URL="+app.URL, "VENDOR_URL="+pages.vendorURL)
		})
	}
}
