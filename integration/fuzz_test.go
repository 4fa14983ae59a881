// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// FuzzCaddyfile protects operators from a mistake that does more than fail to
// load: whatever the Caddyfile is, it adapts to the same JSON each time, is
// provisioned or refused in the same way each time, and no error tells a
// secret.
func FuzzCaddyfile(f *testing.F) {
	s, err := stack.New(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	key, err := os.ReadFile(s.KeyFile)
	if err != nil {
		f.Fatal(err)
	}
	const secret = "CANARY-0123456789abcdef0123456789abcdef"
	f.Setenv("KEY", string(key))
	f.Setenv("SECRET", secret)
	body := regexp.MustCompile(`[A-Za-z0-9+/]{40}`).FindString(string(key))

	files, err := filepath.Glob("caddyfile_adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	seeds := make([]string, 0, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seed, _, _ := strings.Cut(string(content), separator)
		seeds = append(seeds, seed)
	}
	replacer := strings.NewReplacer("{file.[[.KeyFile]]}", "{env.KEY}", "[[.PlatformURL]]", "https://platform.example", "[[.AppAddr]]", "127.0.0.1:9", "[[.Port]]", "8080", "storage file_system [[.Storage]]", "")
	seeds = append(seeds, replacer.Replace(stack.Caddyfile), replacer.Replace(loadable))
	for _, seed := range seeds {
		f.Add(seed)
	}
	if config, err := stack.Adapt(seeds[len(seeds)-1]); err != nil || !harmless(config) || validate(config) != nil {
		f.Fatalf("the seed is not loaded: %v, %v", err, validate(config))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "import") || strings.Contains(text, "/dev/") {
			t.Skip("it reads files")
		}
		first, err := stack.Adapt(text)
		second, again := stack.Adapt(text)
		if !bytes.Equal(first, second) || (err == nil) != (again == nil) {
			t.Errorf("adapted in two ways:\n%s\n%s", first, second)
		}
		if err != nil {
			return
		}
		if !harmless(first) {
			t.Skip("it does what is not ours")
		}
		verdicts := make([]string, 2)
		for i := range verdicts {
			if err := validate(first); err != nil {
				verdicts[i] = err.Error()
			}
		}
		if (verdicts[0] == "") != (verdicts[1] == "") {
			t.Errorf("%q, and the second time %q", verdicts[0], verdicts[1])
		}
		if strings.Contains(verdicts[0], secret[7:]) || strings.Contains(verdicts[0], body) {
			t.Errorf("a secret is in the error: %s", verdicts[0])
		}
	})
}

// validate provisions a configuration.
func validate(text []byte) error {
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(text, config); err != nil {
		return err
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(config)
}

// harmless tells whether a configuration can be provisioned without writing
// files, listening or asking anybody.
func harmless(config []byte) bool {
	var all map[string]json.RawMessage
	var apps map[string]json.RawMessage
	if json.Unmarshal(config, &all) != nil || json.Unmarshal(all["apps"], &apps) != nil {
		return false
	}
	for name := range all {
		if name != "apps" && name != "admin" {
			return false
		}
	}
	for name := range apps {
		if name != "http" && name != "delegate" {
			return false
		}
	}
	for _, name := range []string{"health_checks", "listener_wrappers", "packet_conn_wrappers", "acme", "fs"} {
		if bytes.Contains(config, []byte(`"`+name)) {
			return false
		}
	}
	for _, match := range handlerName.FindAllSubmatch(config, -1) {
		if !slices.Contains([]string{"app_session", "delegate", "delegate_token", "delegate_logout", "reverse_proxy", "subroute", "static_response", "headers", "rewrite", "vars", "authentication"}, string(match[1])) {
			return false
		}
	}
	return true
}

var handlerName = regexp.MustCompile(`"handler":"([^"]*)"`)

// loadable has every directive and can be provisioned as it stands.
const loadable = `{
	admin off
	auto_https off
	delegate {
		provider mydatahelps {
			base_url        https://platform.example
			project         ` + stack.Project + `
			service_account ` + stack.Account + `
			private_key     {env.KEY}
			scopes          api Participant:read
			participant_field Login
			http {
				timeout 5s
			}
		}
		trusted_origins https://app.example.org
		tokens {
			max_entries 1000
			timeout 10s
		}
		log_subject none
	}
}
http://127.0.0.1:8080 {
	handle_path /jwt/* {
		app_session {
			cookie __Host-session
			bearer
			hmac_secret {env.SECRET}
			issuer https://login.example
			audience app
		}
		delegate_logout
		delegate_proxy mydatahelps {
			allow GET,PUT /api/v1/delegated/** Participant:read
			allow WEBSOCKET /api/v1/delegated/*/socket
			forward_headers X-Note
			header_up X-A b
		}
	}
	handle_path /asked/* {
		app_session {
			bearer
			introspect https://login.example/introspect {
				client_id proxy
				client_secret {env.SECRET}
				audience app
				audience_claim client_id
				token_type Bearer
				header_up X-Forwarded-Proto https
				cache 30s
			}
			realm r
		}
		delegate_proxy mydatahelps
	}
	handle_path /app/* {
		app_session {
			cookie s
			session_endpoint http://127.0.0.1:9/me {
				subject user.id
				header_up Host app.example
			}
			optional
		}
		delegate_token mydatahelps {
			proxy /app/
		}
	}
	handle /backchannel {
		delegate_logout {
			backchannel {
				jwks https://login.example/jwks
				issuer https://login.example
				audience app
			}
		}
	}
}
`
