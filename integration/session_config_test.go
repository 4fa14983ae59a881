// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestSessionSettings protects operators who keep settings in the environment,
// and from a secret that is none: which placeholders are filled in, and which
// configurations refuse to load.
func TestSessionSettings(t *testing.T) {
	s := newStack(t)
	t.Setenv("LOGIN", "login.example.org")
	t.Setenv("CA", s.CertFile)
	t.Setenv("SECRET", strings.Repeat("s", 32))
	const named = "\nissuer https://{env.LOGIN}\naudience {env.LOGIN}\n"
	for name, c := range map[string]struct{ lines, want string }{
		"jwks":            {"cookie __Host-s\njwks https://{env.LOGIN}/jwks" + named + "http {\nca_file {env.CA}\n}", ""},
		"secret":          {"bearer\nhmac_secret {env.SECRET}" + named, ""},
		"secret in clear": {"bearer\nhmac_secret " + strings.Repeat("x{}", 12) + named, ""},
		"introspect":      {"bearer\nintrospect https://{env.LOGIN}/i {\nclient_id {env.LOGIN}-proxy\nclient_secret {env.SECRET}\nissuer https://{env.LOGIN}\naudience a\n}", ""},
		"endpoint":        {"cookie __Host-s\nsession_endpoint http://{env.LOGIN}:3000/me\ninsecure_http", ""},

		"secret half a placeholder":        {"bearer\nhmac_secret v1-{env.SECRET}" + named, "hmac_secret: a placeholder for a secret stands by itself"},
		"client_secret half a placeholder": {"bearer\nintrospect https://l.example/i {\nclient_id x\nclient_secret v1-{env.SECRET}\nany_audience\n}", "client_secret: a placeholder for a secret stands by itself"},
		"secret missing":                   {"bearer\nhmac_secret {env.NO_SUCH_SECRET}" + named, "hmac_secret: "},
		"secret short":                     {"bearer\nhmac_secret short" + named, "fewer than 32 bytes"},
		"secret a public key":              {"bearer\nhmac_secret {file." + s.CertFile + "}" + named, "a secret is a PEM block"},
		"key a private one":                {"bearer\npublic_key {file." + s.KeyFile + "}" + named, "only public keys and certificates belong here"},
		"jwks http":                        {"bearer\njwks http://{env.LOGIN}/jwks" + named, "use https"},
		"endpoint http":                    {"cookie __Host-s\nsession_endpoint http://{env.LOGIN}:3000/me", "use https"},
		"introspect http":                  {"bearer\nintrospect http://{env.LOGIN}/i {\nclient_id x\nclient_secret y\nany_audience\n}", "use https"},
		"ca_file missing":                  {"bearer\njwks https://{env.LOGIN}/jwks" + named + "http {\nca_file /no/such/file\n}", "ca_file"},
		"HS256 with a JWKS":                {"bearer\njwks https://{env.LOGIN}/jwks\nalgorithms HS256" + named, "algorithm HS256 does not go with jwks"},
		"none":                             {"bearer\njwks https://{env.LOGIN}/jwks\nalgorithms none" + named, "algorithm none does not go with jwks"},
	} {
		config := new(caddy.Config)
		text := adapted(t, s, `{`+stack.Options+"\ndelegate {"+stack.Provider+"\n}\n}\nhttp://127.0.0.1:[[.Port]] {\napp_session {\n"+c.lines+"\n}\nrespond ok\n}\n")
		if err := json.Unmarshal(text, config); err != nil {
			t.Fatal(err)
		}
		err := caddy.Validate(config)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), strings.Repeat("s", 32)) {
			t.Errorf("%s: the secret is in the error", name)
		}
	}
}

// TestSessionJSON protects who writes JSON from what the Caddyfile would
// refuse.
func TestSessionJSON(t *testing.T) {
	s := newStack(t)
	for handler, want := range map[string]string{
		`{"handler":"app_session","cookie":"a b","session_endpoint":{"url":"http://app/"}}`:                                                "it is no name of a cookie",
		`{"handler":"app_session","cookie":"a","realm":"{env.X}","session_endpoint":{"url":"http://app/"}}`:                                "a realm takes no placeholder",
		`{"handler":"app_session","cookie":"a"}`:                                                                                           "say how sessions are verified",
		`{"handler":"app_session","session_endpoint":{"url":"http://app/"}}`:                                                               "say where the session is",
		`{"handler":"app_session","cookie":"a","session_endpoint":{"url":"http://app/","cache":3600000000000}}`:                            "at most 10m",
		`{"handler":"app_session","cookie":"a","session_endpoint":{"url":"http://app/"},"jwt":{}}`:                                         "verify sessions in one way",
		`{"handler":"app_session","cookie":"a","session_endpoint":{"url":"http://app/","headers":{"cookie":"b"}}}`:                         "header_up Cookie: the request sets it itself",
		`{"handler":"app_session","cookie":"a","session_endpoint":{"url":"http://app/","headers":{"X-A":"b","x-a":"c"}}}`:                  "header_up X-A is set already",
		`{"handler":"app_session","cookie":"a","session_endpoint":{"url":"http://app/","headers":{"X-A":"{http.request.header.X-A}"}}}`:    "nothing of the client's request goes along",
		`{"handler":"app_session","cookie":"a","introspect":{"url":"https://l/","client_id":"a","client_secret":"b"}}`:                     "audience is missing",
		`{"handler":"app_session","bearer":true,"cookie_json":"a","jwt":{}}`:                                                               "add `cookie <name>`",
		`{"handler":"app_session","cookie":"a","http":{},"jwt":{"hmac_secrets":["x"],"issuer":"i","audiences":["a"]}}`:                     "http has no effect",
		`{"handler":"delegate_logout","http":{}}`:                                                                                          "http goes with backchannel",
		`{"handler":"delegate_logout","subject":"{http.auth.user.id}","backchannel":{"jwks":"https://a/","issuer":"i","audiences":["a"]}}`: "subject does not go with backchannel",
		`{"handler":"delegate_logout","backchannel":{"jwks":"https://a/","issuer":"i"}}`:                                                   "audience is missing",
	} {
		text := string(adapted(t, s, `{`+stack.Options+"\ndelegate {"+stack.Provider+"\n}\n}\nhttp://127.0.0.1:[[.Port]] {\nrespond PLACE\n}\n"))
		config := new(caddy.Config)
		text = strings.Replace(text, `{"body":"PLACE","handler":"static_response"}`, handler, 1)
		if err := json.Unmarshal([]byte(text), config); err != nil || !strings.Contains(text, handler) {
			t.Fatal(err, text)
		}
		if err := caddy.Validate(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", handler, err, want)
		}
	}
}
