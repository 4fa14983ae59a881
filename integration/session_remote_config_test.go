// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestAskedSettings protects operators from settings that are not what they seem:
// each mistake is told with its file, its line and the mend, when the Caddyfile is
// read or, what a placeholder brings, when it is loaded.
func TestAskedSettings(t *testing.T) {
	t.Setenv("LINES", "a\r\nCookie: session=x")
	t.Setenv("HOST", "app.example.org")
	t.Setenv("NO_HOST", "app example org")
	const (
		app    = "cookie session\nsession_endpoint http://127.0.0.1:9/me {\n%s\n}"
		issuer = "bearer\nrealm r\nintrospect https://login.example.org/introspect {\nclient_id a\nclient_secret b\n%s\n}"
	)
	s := newStack(t)
	for name, c := range map[string]struct{ session, lines, want, loading string }{
		"good":                        {app, "subject user.id\nheader_up Host {env.HOST}\nheader_up X-A \"b c\"", "", ""},
		"good, issuer":                {issuer, "audience a b\naudience_claim client_id\nheader_up Host {env.HOST}:8443", "", ""},
		"good, any":                   {issuer, "any_audience", "", ""},
		"good, JSON":                  {strings.Replace(issuer, "bearer", "cookie s\ncookie_json data.access_token", 1), "any_audience", "", ""},
		"header_up alone":             {app, "header_up", "header_up takes a name and a value", ""},
		"header_up without value":     {app, "header_up Host", "header_up takes a name and a value", ""},
		"header_up empty name":        {app, `header_up "" x`, "no name of a header", ""},
		"header_up empty value":       {app, `header_up X-A ""`, "the value is empty", ""},
		"header_up as a replacement":  {app, "header_up Host a b", "header_up takes a name and a value", ""},
		"header_up added":             {app, "header_up +X-A b", "leave out the first character", ""},
		"header_up deleted":           {app, "header_up -X-A b", "leave out the first character", ""},
		"header_up twice":             {app, "header_up Host a\nheader_up host b", "header_up Host is set already", ""},
		"header_up no name":           {app, "header_up X(A) b", "header_up X(A): it is no name of a header", ""},
		"header_up Cookie":            {app, "header_up cookie a=b", "header_up Cookie: the request sets it itself: remove it", ""},
		"header_up Authorization":     {issuer, "any_audience\nheader_up Authorization x", "header_up Authorization: the request sets it itself", ""},
		"header_up Content-Type":      {issuer, "any_audience\nheader_up Content-Type x", "header_up Content-Type: the request sets it itself", ""},
		"header_up Connection":        {app, "header_up Connection close", "header_up Connection: it is a hop-by-hop header", ""},
		"header_up Transfer-Encoding": {app, "header_up Transfer-Encoding chunked", "header_up Transfer-Encoding: it is a hop-by-hop header", ""},
		"header_up of the client":     {app, "header_up X-A {header.Cookie}", "header_up X-A: nothing of the client's request goes along", ""},
		"header_up of the host":       {app, "header_up Host {host}", "header_up Host: nothing of the client's request goes along", ""},
		"header_up no host":           {app, "header_up Host https://app.example.org/", "header_up Host: the value is no host", ""},
		"header_up no such variable":  {app, "header_up X-A {env.NO_SUCH_VARIABLE}", "", "session_endpoint header_up X-A: "},
		"header_up no placeholder":    {app, "header_up X-A {no.such.thing}", "", "session_endpoint header_up X-A: "},
		"header_up lines":             {app, "header_up X-A {env.LINES}", "", "header_up X-A: the value holds a line break"},
		"header_up host of spaces":    {issuer, "any_audience\nheader_up Host {env.NO_HOST}", "", "introspect header_up Host: the value is no host"},
		"header_up outside":           {"cookie session\nsession_endpoint http://127.0.0.1:9/me\nheader_up Host a", "", `unrecognized subdirective "header_up" of app_session`, ""},

		"no audience":               {issuer, "", "introspect: audience is missing", ""},
		"audience_claim alone":      {issuer, "audience_claim client_id", "add `audience <names...>`", ""},
		"audience_claim and any":    {issuer, "audience_claim client_id\nany_audience", "add `audience <names...>`", ""},
		"audience_claim empty":      {issuer, "audience a\naudience_claim", "audience_claim needs a value", ""},
		"audience_claim of two":     {issuer, "audience a\naudience_claim a b", "audience_claim takes one value", ""},
		"audience_claim twice":      {issuer, "audience a\naudience_claim a\naudience_claim b", "audience_claim is set already", ""},
		"audience and any":          {issuer, "audience a\nany_audience", "audience and any_audience exclude each other", ""},
		"any_audience twice":        {issuer, "any_audience\nany_audience", "any_audience stands once", ""},
		"any_audience with a value": {issuer, "any_audience yes", "any_audience stands once, and by itself", ""},
		"any_audience of an app":    {app, "any_audience", `unrecognized subdirective "any_audience" of session_endpoint`, ""},

		"cookie_json without cookie":   {"cookie_json a\n" + issuer, "any_audience", "cookie_json is where the session stands in a cookie: add `cookie <name>`", ""},
		"cookie_json and endpoint":     {"cookie_json a\n" + app, "", "cookie_json does not go with session_endpoint", ""},
		"cookie_json a placeholder":    {"cookie s\ncookie_json {env.HOST}\n" + issuer, "any_audience", "cookie_json takes a path", ""},
		"audience_claim a placeholder": {issuer, "audience a\naudience_claim {env.HOST}", "audience_claim takes the name of a claim and no placeholder", ""},
		"subject a placeholder":        {app, "subject {env.HOST}", "subject and expires take a path", ""},
		"expires a placeholder":        {app, "expires {http.auth.user.id}", "subject and expires take a path", ""},
		"cookie_json twice":            {"cookie s\ncookie_json a\ncookie_json b\n" + issuer, "any_audience", "cookie_json is set already", ""},
		"cookie_json empty":            {"cookie s\ncookie_json\n" + issuer, "any_audience", "cookie_json needs a value", ""},
		"cookie_json of two":           {"cookie s\ncookie_json a b\n" + issuer, "any_audience", "cookie_json takes one value", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := s.Render(`{` + stack.Options + "\ndelegate {" + stack.Provider + "\n}\n}\nhttp://127.0.0.1:[[.Port]] {\napp_session {\n" + strings.Replace(c.session, "%s", c.lines, 1) + "\n}\nrespond ok\n}\n")
			if err != nil {
				t.Fatal(err)
			}
			adapted, err := stack.Adapt(text)
			if c.want != "" {
				checkError(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			config := new(caddy.Config)
			if err := json.Unmarshal(adapted, config); err != nil {
				t.Fatal(err)
			}
			err = caddy.Validate(config)
			if (err == nil) != (c.loading == "") || err != nil && !strings.Contains(err.Error(), c.loading) {
				t.Errorf("%v; want %q", err, c.loading)
			}
			if err != nil && strings.Contains(err.Error(), "session=x") {
				t.Error("the value is in the error")
			}
		})
	}
}
