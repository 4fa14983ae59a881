// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// consentPath is the page that a provider shows to whoever connects an account.
const consentPath = "/externalaccounts/consent"

// consentFields are what the page's address and its form say of the connection.
var consentFields = []string{"provider", "participant", "finalRedirectPath", "verifierHash"}

// connectProvider answers with the address where consent is given: a JSON
// string, not an object.
func (c *call) connectProvider() {
	if providerIndex(c.args[0]) < 0 {
		c.fail(http.StatusNotFound, "no such provider")
		return
	}
	q := url.Values{
		"provider":          {c.args[0]},
		"participant":       {c.participant.ID},
		"finalRedirectPath": {c.URL.Query().Get("finalRedirectPath")},
	}
	if v := c.URL.Query().Get("verifierHash"); v != "" {
		q.Set("verifierHash", v)
	}
	q.Set("signature", c.sim.signConsent(q))
	c.json(http.StatusOK, control.Base(c.Request)+consentPath+"?"+q.Encode())
}

// signConsent keeps anybody from connecting accounts by an address of their own.
func (m *MyDataHelps) signConsent(q url.Values) string {
	var fields []string
	for _, name := range consentFields {
		fields = append(fields, url.QueryEscape(q.Get(name)))
	}
	return m.sign("CONSENT", strings.Join(fields, "&"))
}

var consentPage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<title>{{.Name}}</title>
<style>body { font: 1rem/1.5 sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem } button { font: inherit; padding: .5rem 1.5rem; margin-right: 1rem }</style>
<h1>{{.Name}}</h1>
<p>Share the data of your account at {{.Name}} with MyDataHelps? Nothing here is real.</p>
<form method="post">
	{{range $name, $value := .Fields}}<input type="hidden" name="{{$name}}" value="{{$value}}">
	{{end}}<input type="hidden" name="verifier" id="verifier">
	<button name="decision" value="allow">Allow</button>
	<button name="decision" value="deny">Deny</button>
</form>
<script>document.getElementById("verifier").value = new URLSearchParams(location.hash.slice(1)).get("verifier") ?? ""</script>
`))

// consent shows the provider's page, and takes the answer of who it was shown to.
func (c *call) consent() {
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		c.fail(http.StatusBadRequest, "the form cannot be read")
		return
	}
	n := providerIndex(c.Form.Get("provider"))
	if n < 0 || !hmac.Equal([]byte(c.Form.Get("signature")), []byte(c.sim.signConsent(c.Form))) {
		c.fail(http.StatusForbidden, "this is no address that the API has answered with")
		return
	}
	if c.participant = c.sim.people.byID(c.Form.Get("participant")); c.participant == nil {
		c.fail(http.StatusNotFound, "no such participant")
		return
	}
	if c.Method == http.MethodPost {
		c.decide(n)
		return
	}
	fields := map[string]string{"signature": c.Form.Get("signature")}
	for _, name := range consentFields {
		fields[name] = c.Form.Get(name)
	}
	c.page(consentPage, map[string]any{"Name": accountProviders[n].name, "Fields": fields})
}

// decide connects the account, if that was allowed, and leads back. Whoever
// began has a secret (the verifier) of which the API was told the hash.
func (c *call) decide(provider int) {
	allowed := c.PostForm.Get("decision") == "allow"
	if hash := c.PostForm.Get("verifierHash"); hash != "" {
		sum := sha256.Sum256([]byte(c.PostForm.Get("verifier")))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != hash {
			c.fail(http.StatusForbidden, "the verifier in the address's fragment does not match: somebody else has begun this")
			return
		}
	}
	success := "false"
	if allowed {
		c.connect(provider)
		success = "true"
	}
	back, err := url.Parse(strings.ReplaceAll(c.PostForm.Get("finalRedirectPath"), "%SUCCESSVALUE%", success))
	if err != nil || back.Host == "" || back.Scheme != "https" && back.Scheme != "http" {
		c.page(donePage, nil)
		return
	}
	c.w.Header().Set("Location", back.String())
	c.w.WriteHeader(http.StatusSeeOther)
}

var donePage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Done</title>
<p>You can close this window.
`))

// page answers with a page for people.
func (c *call) page(t *template.Template, data any) {
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	if err := t.Execute(c.w, data); err != nil {
		c.recordReason(err.Error()) // the client has left
	}
}
