// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// shapes are what becomes of a PEM text on its way through environment files,
// secret stores and editors.
var shapes = map[string]func(string) string{
	"as it is":              func(s string) string { return s },
	`literal \n`:            func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) },
	`literal \r\n, quoted`:  func(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\r\n`) + `"` },
	"single quotes":         func(s string) string { return "'" + s + "'" },
	"a byte order mark":     func(s string) string { return "\uFEFF" + s },
	"line breaks of DOS":    func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"indented":              func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") },
	"blanks at line ends":   func(s string) string { return strings.ReplaceAll(s, "\n", " \t\n") },
	"blank lines around":    func(s string) string { return "\n \n" + s + "\n\n" },
	"no line break at last": strings.TrimSpace,
	"all at once": func(s string) string {
		return "\uFEFF \"" + strings.ReplaceAll(strings.TrimSpace(s), "\n", `\n`) + "\" \r\n"
	},
}

// TestC12_KeysInEveryShape protects operators from a key that one setting takes
// and another does not: each shape is read wherever a key or certificate is.
func TestC12_KeysInEveryShape(t *testing.T) {
	s, key := newStack(t), newECKey(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	signer := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, key, true)}))
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	private, authorities := read(s.KeyFile), read(s.CertFile)
	provider := strings.Replace(stack.Provider, "{file.[[.KeyFile]]}", "{env.PRIVATE_KEY}", 1)
	if provider == stack.Provider {
		t.Fatal("the provider's key is written in another way")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	for name, shape := range shapes {
		t.Setenv("PRIVATE_KEY", shape(private))
		t.Setenv("PUBLIC_KEY", shape(public))
		t.Setenv("CERTIFICATE", shape(signer))
		if err := os.WriteFile(ca, []byte(shape(authorities)), 0o600); err != nil {
			t.Fatal(err)
		}
		config := new(caddy.Config)
		text := adapted(t, s, `{`+stack.Options+"\ndelegate {"+provider+"\n}\n}\nhttp://127.0.0.1:[[.Port]] {\n"+
			"app_session {\nbearer\npublic_key {env.PUBLIC_KEY}\npublic_key {env.CERTIFICATE}\nissuer i\naudience a\n}\n"+
			"app_session {\nbearer\njwks https://login.example.org/jwks\nissuer i\naudience a\nhttp {\nca_file "+ca+"\n}\n}\nrespond ok\n}\n")
		if err := json.Unmarshal(text, config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// And it is the same key.
	t.Setenv("PUBLIC_KEY", shapes["all at once"](public))
	load(t, s, sessionSite("public_key {env.PUBLIC_KEY}\nissuer https://login.example.org\naudience app"))
	u := signIn(t, s, "alice")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "", loginClaims("alice"))).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", signed(t, jose.ES256, newECKey(t), "", loginClaims("alice"))).want(t, http.StatusUnauthorized, "session_required")
}

// TestC12_KeysThatAreNone protects operators from a part of a key that is taken
// for all of it, and the log from what a key holds.
func TestC12_KeysThatAreNone(t *testing.T) {
	s, key := newStack(t), newECKey(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, c := range map[string]struct{ text, want string }{
		"a file's name":       {"/run/secrets/canary.pem", "there is no PEM block of a public key"},
		"one line":            {strings.ReplaceAll(public, "\n", " "), "the PEM text is damaged"},
		"cut off":             {public[:len(public)/2], "the PEM text is damaged"},
		"a second one cut":    {public + public[:len(public)/2], "the PEM text is damaged"},
		"other contents":      {string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("canary")})), "a public key is malformed"},
		"another certificate": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("canary")})), "a certificate is malformed"},
	} {
		t.Setenv("PUBLIC_KEY", c.text)
		config := new(caddy.Config)
		text := adapted(t, s, `{`+stack.Options+"\ndelegate {"+stack.Provider+"\n}\n}\nhttp://127.0.0.1:[[.Port]] {\napp_session {\nbearer\npublic_key {env.PUBLIC_KEY}\nissuer i\naudience a\n}\nrespond ok\n}\n")
		if err := json.Unmarshal(text, config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(config); err == nil || !strings.Contains(err.Error(), "public_key: "+c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestC12_OddEndsOfSecrets protects operators from a secret that is not the one
// the app has, for a line break or a quote that nobody sees: line breaks around
// it do not count, all else does, and both are told at load.
func TestC12_OddEndsOfSecrets(t *testing.T) {
	const told = "a secret may not be what was meant"
	i := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, secret, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(w, `{"active":%t,"sub":"alice","aud":"app"}`, secret == ownSecret)
	}))
	t.Cleanup(i.Close)
	for name, c := range map[string]struct{ text, secret, why string }{
		"as it is":            {ownSecret, ownSecret, ""},
		"line breaks":         {ownSecret + "\r\n\n", ownSecret, "line breaks, which were left out"},
		"line breaks before":  {"\n" + ownSecret, ownSecret, "line breaks, which were left out"},
		"a byte order mark":   {"\uFEFF" + ownSecret, ownSecret, "a byte order mark, which was left out"},
		"a space":             {ownSecret + " ", ownSecret + " ", "white space, which is taken as part of it"},
		"a space and a break": {ownSecret + " \n", ownSecret + " ", "white space, which is taken as part of it"},
		"quotes":              {`"` + ownSecret + `"`, `"` + ownSecret + `"`, "in quotes, which are taken as part of it"},
		`a literal \n`:        {ownSecret + `\n`, ownSecret + `\n`, "a backslash and an n, which are taken as part of it"},
	} {
		t.Setenv("SECRET", c.text)
		config, file := logged(t, strings.Replace(sessionSite("hmac_secret {env.SECRET}\nissuer https://login.example.org\naudience app"),
			"handle /logout {", "handle /asked {\n\t\tapp_session {\n\t\t\tbearer\n\t\t\trealm "+newRealm()+"\n\t\t\tintrospect "+i.URL+" {\n\t\t\t\tclient_id proxy\n\t\t\t\tclient_secret {env.SECRET}\n\t\t\t\taudience app\n\t\t\t}\n\t\t}\n\t\trespond ok\n\t}\n\thandle /logout {", 1))
		s := newStack(t)
		if err := s.Load(config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		u := signIn(t, s, "alice")
		u.as(http.MethodGet, "/who", signed(t, jose.HS256, []byte(c.secret), "", loginClaims("alice"))).want(t, http.StatusOK, "")
		want := http.StatusUnauthorized
		if c.secret == ownSecret {
			want = http.StatusOK
		}
		if a := u.as(http.MethodGet, "/asked", "opaque"); a.StatusCode != want {
			t.Errorf("%s: %d, as the client secret", name, a.StatusCode)
		}
		found, text := lines(t, file, told)
		settings := map[any]bool{}
		for _, line := range found {
			settings[line["setting"]] = true
			if line["level"] != "warn" || !strings.Contains(line["why"].(string), c.why) {
				t.Errorf("%s: %v", name, line)
			}
		}
		if odd := c.why != ""; settings["hmac_secret"] != odd || settings["introspect client_secret"] != odd {
			t.Errorf("%s: told of %v", name, settings)
		}
		if strings.Contains(text, ownSecret) {
			t.Errorf("%s: the secret is in the log", name)
		}
	}
	for _, blank := range []string{"\n", " \n", "\uFEFF\n"} {
		t.Setenv("SECRET", blank)
		if err := newStack(t).Load(sessionSite("hmac_secret {env.SECRET}\nissuer i\naudience a")); err == nil || !strings.Contains(err.Error(), "hmac_secret is empty") {
			t.Errorf("%q: %v", blank, err)
		}
	}
}

// TestC17_InsecureHTTP protects sessions that would cross a network in clear: for
// whatever is asked about them one rule holds, and what the operator allows is
// told at load.
func TestC17_InsecureHTTP(t *testing.T) {
	l := newLogin(t)
	// Hosts of a private network, by their proxy.
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/jwks":
			l.ServeHTTP(w, r)
		default:
			_, _ = w.Write([]byte(`{"active":true,"sub":"alice","aud":"app"}`))
		}
	}))
	t.Cleanup(network.Close)
	t.Setenv("INSIDE", "http://keycloak:8080")
	const flag = "\ninsecure_http"
	through := "\nhttp {\nproxy " + network.URL + "\n}\nrealm " + newRealm()
	settings := map[string]string{
		"jwks":             "jwks %s/jwks\nissuer " + l.URL + "\naudience app",
		"introspect":       "introspect %s/introspect?key=canary {\nclient_id a\nclient_secret b\naudience app\n}",
		"session_endpoint": "session_endpoint %s/me?key=canary",
	}
	const told = "insecure_http: this address is asked in clear; whoever is on the way to it can read sessions, or sign in as anybody"
	for setting, text := range settings {
		inside := fmt.Sprintf(text, "{env.INSIDE}")
		if err := newStack(t).Load(sessionSite(inside + through)); err == nil || !strings.Contains(err.Error(), setting+": http://keycloak:8080/") || !strings.Contains(err.Error(), "with the flag insecure_http") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", setting, err)
		}
		c, file := logged(t, sessionSite(inside+through+flag))
		s := start(t, c)
		u := signIn(t, s, "alice")
		if a := u.as(http.MethodGet, "/who", l.session("alice", nil)); a.StatusCode != http.StatusOK || a.body != "alice" {
			t.Errorf("%s: %d %s", setting, a.StatusCode, a.body)
		}
		found, all := lines(t, file, told)
		if len(found) != 1 || found[0]["level"] != "warn" || found[0]["setting"] != setting || found[0]["address"] != "http://keycloak:8080" || strings.Contains(all, "canary") {
			t.Errorf("%s: %v", setting, found)
		}

		// Nothing is told of what crosses no network, or not in clear.
		for _, address := range []string{"http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9", "https://keycloak:8443"} {
			c, file := logged(t, sessionSite(fmt.Sprintf(text, address)+"\nrealm "+newRealm()+flag))
			start(t, c)
			if found, _ := lines(t, file, told); len(found) != 0 {
				t.Errorf("%s %s: %v", setting, address, found)
			}
		}
		for _, address := range []string{"ftp://localhost", "http://", "https://user:canary@localhost", "keycloak:8080", "https://localhost/#x"} {
			t.Setenv("ADDRESS", address)
			if err := newStack(t).Load(sessionSite(fmt.Sprintf(text, "{env.ADDRESS}") + "\nrealm r" + flag)); err == nil || !strings.Contains(err.Error(), setting+": write a URL such as") || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s %s: %v", setting, address, err)
			}
		}
	}
	// The address at which an issuer tells of logouts asks for its keys as well.
	backchannel := `{` + stack.Options + "\ndelegate {" + stack.Provider + "\n}\n}\nhttp://127.0.0.1:[[.Port]] {\ndelegate_logout {\nbackchannel {\njwks {env.INSIDE}/jwks\nissuer i\naudience a\n}%s\n}\n}\n"
	if err := newStack(t).Load(fmt.Sprintf(backchannel, "")); err == nil || !strings.Contains(err.Error(), "with the flag insecure_http") {
		t.Error(err)
	}
	if err := newStack(t).Load(fmt.Sprintf(backchannel, flag)); err != nil {
		t.Error(err)
	}
}

// TestC25_FileThatIsAShorthand protects operators from a placeholder that Caddy
// takes for a part of the request's path: the error says so and how to mend it,
// in a Caddyfile with its line, and in JSON.
func TestC25_FileThatIsAShorthand(t *testing.T) {
	const mend = "in a site Caddy reads {file.secret} as a part of the request's path, because the name has neither slash nor dot: write the file's whole path, such as {file./run/secrets/secret}"
	site := func(settings string) string {
		return "{\n" + minimal + "}\n:80 {\napp_session {\nbearer\n" + settings + "\n}\nrespond ok\n}\n"
	}
	for _, c := range []struct{ name, settings string }{
		{"hmac_secret", "realm r\nhmac_secret {file.secret}"},
		{"public_key", "realm r\npublic_key {file.secret}"},
		{"jwks", "audience a\nissuer i\njwks {file.secret}"},
		{"issuer", "jwks https://a/\naudience a\nissuer {file.secret}"},
		{"audience", "jwks https://a/\nissuer i\naudience {file.secret}"},
		{"client_secret", "introspect https://a/ {\nclient_id a\nclient_secret {file.secret}\naudience a\n}"},
		{"session_endpoint", "session_endpoint {file.secret}"},
		{"ca_file", "jwks https://a/\nissuer i\naudience a\nhttp {\nca_file {file.secret}\n}"},
	} {
		_, err := stack.Adapt(site(c.settings))
		line := strings.Count(site(c.settings)[:strings.Index(site(c.settings), "{file.secret}")], "\n") + 1
		if err == nil || !strings.Contains(err.Error(), c.name+": "+mend) || !strings.Contains(err.Error(), fmt.Sprintf("Caddyfile:%d", line)) {
			t.Errorf("%s, line %d: %v", c.name, line, err)
		}
	}
	s := newStack(t)
	text := adapted(t, s, sessionSite("realm r\nhmac_secret {env.PLACE}"))
	config := new(caddy.Config)
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "{env.PLACE}", "{http.request.uri.path.file.secret}")), config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(config); err == nil || !strings.Contains(err.Error(), "hmac_secret: "+mend) {
		t.Error(err)
	}
	// With a path or an ending it is read as it is meant.
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(ownSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, s, sessionSite("realm "+newRealm()+"\nsubject_claim user_id\nhmac_secret {file."+file+"}"))
	u := signIn(t, s, "alice")
	u.as(http.MethodGet, "/who", signed(t, jose.HS256, []byte(ownSecret), "", own("alice"))).want(t, http.StatusOK, "")
}
