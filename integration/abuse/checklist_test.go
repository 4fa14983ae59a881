// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT50_NothingIsReflected protects against the first and fourth finding of
// Trail of Bits on caddy-security: addresses and Referers were written into
// pages (cross-site scripting). Refusals are fixed sentences in JSON.
func TestT50_NothingIsReflected(t *testing.T) {
	const homemade = `respond "<p>{uri} {header.Referer} {header.User-Agent} {header.Origin} {method}" 404`
	r := start(t, caddyfile("", site(""), homemade))
	const script = "<script>alert(1)</script>"
	lines := []string{"Referer: http://x/" + script, "User-Agent: " + script, "Accept: text/html", "X-Forwarded-Host: " + script, "X-Forwarded-Proto: " + script, "X-Request-Id: " + script}
	alice := r.cookie("alice")
	for what, ask := range map[string]func() reply{
		"not signed in": func() reply { return r.ask("GET", "/mdh/"+script, lines...) },
		"not allowed":   func() reply { return r.ask("GET", "/mdh/"+script, append(lines, alice)...) },
		"ambiguous":     func() reply { return r.ask("GET", "/mdh/a;b/"+script, append(lines, alice)...) },
		"another site":  func() reply { return r.ask("GET", "/mdh/x?"+script, append(lines, "Origin: http://"+script, alice)...) },
		"another verb":  func() reply { return r.ask("PUT", "/mdh-token?"+script, append(lines, alice)...) },
		"no user":       func() reply { return r.ask("GET", "/mdh"+apiEcho, append(lines, r.cookie(script))...) },
		"a bad session": func() reply { return r.ask("GET", "/mdh"+apiEcho, append(lines, "Authorization: Bearer "+script)...) },
	} {
		got := ask()
		if got.code() == "" || strings.Contains(got.body, "script") || strings.Contains(got.body, "alert") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		for name, values := range got.header {
			if strings.Contains(strings.Join(values, " "), "alert") {
				t.Errorf("%s: it stands in %s", what, name)
			}
		}
	}
	if got := r.askHome("GET", "/"+script, lines...); strings.Count(got.body, "<script>") < 2 {
		t.Errorf("control: %s", got.body)
	}
}

// TestT50_SpoofedAddresses protects against the third finding: X-Forwarded-For
// was believed, in logs and in decisions. Neither who is asking nor what they
// may hangs on an address here.
func TestT50_SpoofedAddresses(t *testing.T) {
	const homemade = "route {\n\t\t@near header X-Forwarded-For 127.0.0.1\n\t\treverse_proxy @near [[.PlatformURL]]\n\t\trespond 401\n\t}"
	r := start(t, caddyfile("", site(""), homemade))
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Originating-Ip", "Client-Ip", "Forwarded"} {
		for _, address := range []string{"127.0.0.1", "::1", "10.0.0.1", "localhost", "127.0.0.1, 203.0.113.7"} {
			line := name + ": " + address
			r.refused(line, http.StatusUnauthorized, "session_required", func() reply { return r.ask("GET", "/mdh"+apiEcho, line) })
			record := r.served(line, stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, line, r.cookie("alice")) })
			if got := record.Header[name]; len(got) > 0 {
				t.Errorf("%s crossed", line)
			}
		}
	}
	r.crossed("X-Forwarded-For", func() reply { return r.askHome("GET", apiEcho, "X-Forwarded-For: 127.0.0.1") })
}

// TestT50_BrokenCaddyfiles protects against the tenth finding: a Caddyfile
// with a mistake brought Caddy down. One that is cut off anywhere, or lacks a
// word, or has one twice, is an error or a configuration, and no panic.
func TestT50_BrokenCaddyfiles(t *testing.T) {
	r := newRig(t)
	logout := "\n\thandle /logout {" + appSession + "\n\t\tdelegate_logout {\n\t\t\tbackchannel {\n\t\t\t\tjwks https://login.example/jwks\n\t\t\t\tissuer https://login.example\n\t\t\t\taudience app\n\t\t\t}\n\t\t}\n\t}\n"
	handOut := strings.Replace(bare("allow GET /x Participant:read\n\t\t\tforward_headers X-A\n\t\t\trealm x"), "route {", "route /x {", 1)
	more := "\n\t\ttrusted_origins https://app.example\n\t\ttokens {\n\t\t\tconcurrency 8\n\t\t\ttimeout 5s\n\t\t}\n\t\tcache memory\n\t\tlog_subject none"
	text := strings.Replace(caddyfile("", handOut+logout, passing), "delegate {", "delegate {"+more, 1)
	text = strings.Replace(text, "participant_identifier", "participant_field user {http.auth.user.x}\n\t\t\tparticipant_query q\n\t\t\thttp {\n\t\t\t\ttimeout 3s\n\t\t\t}", 1)
	whole, err := r.Render(text)
	if err != nil {
		t.Fatal(err)
	}
	try := func(text string) (err error) {
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("panic: %v, by\n%s", p, text)
				err = fmt.Errorf("panic")
			}
		}()
		config, err := stack.Adapt(text)
		if err != nil {
			return err
		}
		parsed := new(caddy.Config)
		if err := caddy.StrictUnmarshalJSON(config, parsed); err != nil {
			return err
		}
		return caddy.Validate(parsed)
	}
	if err := try(whole); err != nil {
		t.Fatalf("control: %v, by\n%s", err, whole)
	}
	words := strings.SplitAfter(strings.NewReplacer("\n", " \n ", "\t", "").Replace(whole), " ")
	refused := 0
	for i, word := range words {
		rest := strings.Join(words[i+1:], "")
		for _, change := range []string{"", word + word, "{ ", "} ", `"" `, "{} ", word + "\n ", "x "} {
			if strings.TrimSpace(word) == "" {
				continue
			}
			if try(strings.Join(words[:i], "")+change+rest) != nil {
				refused++
			}
		}
		if try(strings.Join(words[:i], "")) != nil {
			refused++
		}
	}
	if refused < len(words) {
		t.Errorf("only %d mistakes of %d words were errors", refused, len(words))
	}
}
