// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// vendorRig is a running stack whose source lab is at an authorization server that
// nobody here wrote.
type vendorRig struct {
	*connection
	product *product
}

func startVendor(t *testing.T) *vendorRig {
	t.Helper()
	s := newStack(t)
	c := &vendorRig{&connection{Stack: s, t: t}, newProduct(t, "vendor.mjs", map[string]any{"callback": s.URL() + "/connect/return/lab"})}
	t.Setenv("VENDOR_SECRET", "app-secret-0123456789")
	load(t, s, c.site(strings.ReplaceAll(`source lab {
			name              "Certified lab"
			auth_host_url     {vendor}
			api_host_url      {vendor}/data
			auth_url          /auth
			request_token_url none
			access_token_url  {vendor}/token
			full_auth_url     auto
			client_id         app
			client_secret     {env.VENDOR_SECRET}
			client_auth       basic
			scopes            openid data:read
			issuer            {vendor}
			account           id_token sub
			refresh           rotates
			allow_private
		}`, "{vendor}", c.product.URL), "\n\t\t\tallow GET /lab/items data:read"))
	return c
}

// consents has a person consent at the vendor, in a browser of one site, and returns
// where the vendor sends the browser.
func (c *vendorRig) consents(b *browser, account string) string {
	c.t.Helper()
	a := b.do(http.MethodPost, "/connect/start/lab", "", "Origin", c.URL())
	var started struct{ URL string }
	if err := json.Unmarshal([]byte(a.body), &started); err != nil || a.StatusCode != http.StatusOK {
		c.t.Fatalf("start: %d %s", a.StatusCode, a.body)
	}
	v := oidcVisitor{newVisitor(c.t, c.product.URL)}
	page := v.follow(v.get(started.URL))
	page = v.submit(page, url.Values{"prompt": {"login"}, "login": {account}, "password": {"any"}})
	page = v.submit(page, url.Values{"prompt": {"consent"}})
	return page.Header.Get("Location")
}

// comesBack follows the vendor's redirect and returns what the app's page is told.
func (c *vendorRig) comesBack(b *browser, to string) string {
	c.t.Helper()
	a := b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther {
		c.t.Fatalf("back: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	return u.Query().Get("connect")
}

// TestRealVendor protects people from a reading of OAuth 2.0 that is ours alone: a
// certified server checks PKCE, our redirect URI and the client, sends `iss`, and ends
// the consent of whoever spends a refresh token twice.
func TestRealVendor(t *testing.T) {
	c := startVendor(t)
	b := c.browser("ada")
	to := c.consents(b, "vendor-ada")
	if u, err := url.Parse(to); err != nil || u.Query().Get("iss") != c.product.URL {
		t.Errorf("the redirect has no iss: %s", to)
	}
	if got := c.comesBack(b, to); got != "connected" {
		t.Fatalf("connect=%s", got)
	}
	for n := range 3 { // the second and third time with a refresh token of its own
		if a := b.do(http.MethodGet, "/data/lab/items", ""); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"vendor-ada"`) {
			t.Errorf("data, %d: %d %s", n, a.StatusCode, a.body)
		}
		c.product.do("expire")
	}
	granted, _ := c.product.do("granted").(map[string]any)
	if granted["authorization_code"] != 1.0 || granted["refresh_token"] != 2.0 {
		t.Errorf("granted: %v", granted)
	}

	// A redirect that names another server ends the flow, and no code is redeemed.
	b = c.browser("ben")
	to = strings.Replace(c.consents(b, "vendor-ben"), "iss="+url.QueryEscape(c.product.URL), "iss="+url.QueryEscape("https://evil.example"), 1)
	if got := c.comesBack(b, to); got == "connected" || !strings.Contains(to, "evil") {
		t.Errorf("another iss: connect=%s, %s", got, to)
	}
	if granted, _ := c.product.do("granted").(map[string]any); granted["authorization_code"] != 1.0 {
		t.Errorf("another iss: %v", granted)
	}
}
