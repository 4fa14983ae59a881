// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

var update = flag.Bool("update", false, "write the JSON that the adapter answers into the golden files")

const separator = "\n----------\n"

// TestAdapt protects the Caddyfile syntax: each file holds a Caddyfile and
// below the line the JSON it becomes, or a part of the error it must give.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("caddyfile_adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(content), separator)
			if !ok {
				t.Fatalf("%s has no line of dashes", file)
			}
			got, err := stack.Adapt(input)
			want = strings.TrimSpace(want)
			if message, ok := strings.CutPrefix(want, "error: "); ok {
				checkError(t, err, message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pretty := indent(t, got)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+pretty+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if pretty != want {
				t.Errorf("adapted to\n%s\nwant\n%s", pretty, want)
			}
		})
	}
}

// checkError wants the message, and the file and line to look at.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("adapted; want the error %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q\nwant  %q", err, want)
	}
	if !strings.Contains(err.Error(), "Caddyfile:") {
		t.Errorf("error %q names no file and line", err)
	}
}

// TestShortcutIsTheLongForm protects the promise that delegate_proxy is
// nothing but its documented long form, wherever it stands.
func TestShortcutIsTheLongForm(t *testing.T) {
	const long = `
		delegate MATCHER mydatahelps {
			subject {rp.header.Remote-User}
			allow GET /api/v1/delegated/participant
		}
		reverse_proxy MATCHER {
			header_up X-Study 42
			proxy_status_name edge
			max_fails 1
			@ok status 200
			handle_response @ok {
				copy_response
			}
			dynamic delegate
			transport delegate {
				dial_timeout 5s
			}
		}`
	const short = `
		delegate_proxy MATCHER mydatahelps {
			subject {rp.header.Remote-User}
			allow GET /api/v1/delegated/participant
			header_up X-Study 42
			max_fails 1
			@ok status 200
			handle_response @ok {
				copy_response
			}
			transport http {
				dial_timeout 5s
			}
		}`
	named := strings.Replace(minimal, "delegate {", "delegate {\n proxy_status_name edge", 1)
	places := map[string]string{
		"site":        ":80 {\n DIRECTIVES \n}",
		"route":       ":80 {\n route /x/* {\n DIRECTIVES \n}\n}",
		"handle_path": ":80 {\n handle_path /mdh/* {\n DIRECTIVES \n}\n}",
		"snippet":     "(mdh) {\n DIRECTIVES \n}\n:80 {\n import mdh\n}",
		"named route": "&(mdh) {\n DIRECTIVES \n}\n:80 {\n invoke mdh\n}",
	}
	matchers := map[string]string{"none": "", "path": "/api/*", "all": "*", "named": "@get"}
	for place, site := range places {
		for name, matcher := range matchers {
			if name == "named" && (place == "snippet" || place == "named route") {
				continue // the matcher would have to be defined elsewhere
			}
			t.Run(place+" "+name, func(t *testing.T) {
				adapt := func(directives string) string {
					directives = strings.ReplaceAll(directives, "MATCHER", matcher)
					if name == "named" {
						directives = "@get method GET\n" + directives
					}
					config, err := stack.Adapt("{" + named + "}\n" + strings.Replace(site, "DIRECTIVES", directives, 1))
					if err != nil {
						t.Fatal(err)
					}
					return indent(t, config)
				}
				if l, s := adapt(long), adapt(short); l != s {
					t.Errorf("the shortcut adapts to\n%s\nthe long form to\n%s", s, l)
				}
			})
		}
	}
}

// minimal are global options with a provider, enough to adapt.
const minimal = `
	delegate {
		provider mydatahelps {
			project 5f1d2c3b-0000-4000-8000-00000000a001
			service_account MyDataHelps.12345.demo
			private_key {env.MDH_KEY}
			scopes Participant:read
			participant_identifier
		}
	}
`

func indent(t *testing.T, config []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
