// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"html/template"
)

// The pages have no script, and names that tests can rely on: #member,
// #sign-in, #agree, #decline, and the labels that a person reads. The empty
// icon keeps browsers from asking for one, which would be in the records.
func page(title, body string) *template.Template {
	return template.Must(template.New(title).Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>` + title + ` – Mydex simulator</title>
<link rel="icon" href="data:,">
<style>
body { font: 1.1em/1.5 system-ui, sans-serif; max-width: 32em; margin: 3em auto; padding: 0 1em }
button, select { font: inherit; padding: .3em 1em; margin: .3em .3em .3em 0 }
</style>
<main>
<p>Mydex simulator: nothing here is real.</p>
<h1>` + title + `</h1>
` + body + `
</main>
</html>
`))
}

var signInPage = page("Sign in", `<form method="post" action="/ftc/sign-in">
<input type="hidden" name="journey" value="{{.Journey}}">
<label for="member">MydexID</label>
<select id="member" name="member">
{{- range .Members}}
<option value="{{.UID}}"{{if eq .MydexID $.MydexID}} selected{{end}}>{{.MydexID}}</option>
{{- end}}
</select>
<button id="sign-in" type="submit">Sign in</button>
</form>`)

var agreementPage = page("Data sharing agreement", `<p>You are signed in as <strong id="mydexid">{{.MydexID}}</strong>.</p>
<p>{{if .Update}}What the connection {{.NID}} may do has changed.{{else}}The connection {{.NID}} asks to be let in to your personal data store.{{end}} It may read and write:</p>
<ul id="datasets">
{{- range .Datasets}}
<li>{{.}}</li>
{{- end}}
</ul>
<form method="post" action="/ftc/agreement">
<input type="hidden" name="journey" value="{{.Journey}}">
<button id="agree" type="submit" name="decision" value="agree">Agree</button>
<button id="decline" type="submit" name="decision" value="decline">Decline</button>
</form>`)

var errorPage = page("Sorry", `<p id="reason">{{.}}</p>`)

func (c *call) page(status int, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		panic("mydex: " + err.Error())
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.send(status, "text/html; charset=utf-8", b.Bytes())
}

// showError tells the person in front of the browser what is wrong.
func (c *call) showError(status int, reason string) {
	c.recordReason(reason)
	c.page(status, errorPage, reason)
}
