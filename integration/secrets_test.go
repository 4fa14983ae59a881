// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestNothingLeaks protects every secret there is. With debug, credentials in
// logs, handler traces and error pages that echo all they can, it drives good
// requests and every kind of refusal, and then looks for the secrets in every
// place a person may read.
func TestNothingLeaks(t *testing.T) {
	adminPort, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	logFile := filepath.Join(dir, "caddy.log")
	t.Setenv("XDG_CONFIG_HOME", dir) // autosave goes here
	t.Setenv("HOME", dir)

	r := newRedis(t)
	const password = "CANARY-redis-7c21"
	store := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", r.port), Password: password})
	t.Cleanup(func() { _ = store.Close() })
	open := redis.NewClient(&redis.Options{Addr: store.Options().Addr})
	defer open.Close()
	if err := open.ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS", fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", password, r.port))
	keys := newKeyset(t)

	options := strings.NewReplacer("admin off", fmt.Sprintf("admin localhost:%d", adminPort), "persist_config off", "").Replace(stack.Options)
	const echoAll = `
	handle_errors {
		header X-Echo "{http.error.message} {http.error.trace} {http.delegate.code} {http.delegate.cache} {http.reverse_proxy.status_text} {http.request.header.Authorization} {http.vars.token}"
		respond "{err.message} {http.request.header.Authorization} {http.reverse_proxy.header.Authorization}" {err.status_code}
	}`
	s := start(t, `{`+options+`
	debug
	log {
		output file `+logFile+`
		level DEBUG
	}
	servers {
		log_credentials
		trace
	}
	metrics {
		per_host
	}
	delegate {`+stack.Provider+`
		keyset {file.`+keys+`}
		cache redis {env.REDIS}
	}
}
http://127.0.0.1:[[.Port]] {
	log
	log_append upstream_auth {http.request.header.Authorization}
	log_append code {http.delegate.code}
	handle_path /mdh/* {`+stack.SignIn+`
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
			verbose_logs
		}
	}
	handle /mdh-token {`+stack.SignIn+`
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
	handle_path /crash/* {`+stack.SignIn+`
		route {
			delegate mydatahelps {
				subject {rp.header.Remote-User}
			}
			test_crash
		}
	}`+echoAll+`
}
`)
	sinks := map[string]string{}
	secrets := newWiretap(t, s)
	secrets.found["password"] = password
	for _, line := range regexp.MustCompile(`[A-Za-z0-9+/]{40,}`).FindAllString(readFile(t, keys), -1) {
		secrets.found["keyset"] = line
	}

	alice, stranger := signIn(t, s, "alice"), signIn(t, s, "stranger")
	note := func(name string, a answer) {
		var all bytes.Buffer
		fmt.Fprintf(&all, "%d\n", a.StatusCode)
		_ = a.Header.Write(&all)
		all.WriteString(a.body)
		sinks["answer: "+name] = all.String()
	}
	note("good", alice.get(participantPath))
	s.Platform.Revoke("")
	note("healed", alice.get(participantPath))
	s.Platform.RevokeService()
	note("stranger", stranger.get(participantPath))
	note("denied", alice.get("/mdh/api/v1/administration/x"))
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Bob.ID} })
	note("unauthorized", signIn(t, s, "bob").get(participantPath))
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = nil })
	// What is remembered of a failure would keep the next one from happening.
	purge := func() {
		t.Helper()
		res, err := http.Post(fmt.Sprintf("http://localhost:%d/delegate/purge", adminPort), "application/json", strings.NewReader("{}"))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
	for _, kind := range []string{"html", "crlf_token", "expires_string", "wrong_type", "redirect", "wider_scope", "duplicate_keys"} {
		s.Platform.Set(func(set *simulator.Settings) { set.TokenAnswer = kind })
		purge()
		note("token answer "+kind, alice.get(participantPath))
	}
	s.Platform.Set(func(set *simulator.Settings) { set.TokenAnswer, set.TokenError = "", "invalid_client" })
	purge()
	note("rejected", alice.get(participantPath))
	s.Platform.Set(func(set *simulator.Settings) { set.TokenError = "" })
	purge()
	// Not noted: this answer holds the token, and may.
	_, a := alice.token()
	a.want(t, http.StatusOK, "")
	alice.get(participantPath).want(t, http.StatusOK, "")

	if res, err := alice.try(alice.request(http.MethodGet, strings.Replace(participantPath, "/mdh/", "/crash/", 1), nil)); err == nil {
		t.Errorf("the handler that crashes answered %d", res.StatusCode)
	}
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		var names []string
		if names, cursor, err = store.Scan(t.Context(), cursor, "*", 1000).Result(); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			content, err := store.Dump(t.Context(), name).Result()
			if err != nil {
				t.Fatal(err)
			}
			sinks["redis"] += name + " " + content + "\n"
		}
	}
	for _, path := range []string{"/config/", "/metrics", "/reverse_proxy/upstreams", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/debug/vars", "/delegate/status"} {
		res, err := http.Get(fmt.Sprintf("http://localhost:%d%s", adminPort, path))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		sinks["admin "+path] = string(body)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	// Everything on disk but the key itself: logs, autosave, storage.
	files := 0
	for _, root := range []string{dir, s.Dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path == s.KeyFile {
				return err
			}
			content, err := os.ReadFile(path)
			sinks["file "+path] = string(content)
			files++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	// The sinks have to be real: an empty log would pass.
	logs := sinks["file "+logFile]
	if !strings.Contains(sinks["redis"], ":token ") {
		t.Error("no token is in Redis: is it used?")
	}
	for _, must := range []string{"upstream roundtrip", "test_crash is here", `"refused"`, "http.log.access", "participant_unknown", "credentials_rejected"} {
		if !strings.Contains(logs, must) {
			t.Errorf("the log does not hold %s: is it written?", must)
		}
	}
	if !strings.Contains(sinks["admin /config/"], "private_keys") || files < 2 {
		t.Errorf("config or files are missing: %d files", files)
	}
	found := secrets.list()
	if len(found) < 7 {
		t.Fatalf("only %d secrets were seen on the wire", len(found))
	}
	for name, text := range sinks {
		for kind, secret := range found {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the %s", name, kind)
			}
		}
		for _, session := range []string{alice.session, stranger.session} {
			if name != "file "+logFile && strings.Contains(text, session) {
				t.Errorf("%s holds the session cookie", name)
			}
		}
	}
	checkSessionInLogs(t, s, logs, alice.session, stranger.session)
	for name, text := range sinks {
		if strings.HasPrefix(name, "answer") && (strings.Contains(text, stack.Account) || strings.Contains(text, "invalid_client")) {
			t.Errorf("%s tells what the issuer said", name)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// crash is a handler with a bug: it panics behind delegate, with all it can see.
type crash struct{}

// CaddyModule returns the Caddy module information.
func (crash) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_crash", New: func() caddy.Module { return new(crash) }}
}

func (crash) ServeHTTP(_ http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	panic(fmt.Sprintf("test_crash is here: %+v %+v %+v", r.URL, r.Context(), next))
}

func init() {
	caddy.RegisterModule(crash{})
	httpcaddyfile.RegisterHandlerDirective("test_crash", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return crash{}, nil })
}

// checkSessionInLogs wants the app's cookie nowhere but where log_credentials
// has Caddy itself print what the browser sent: in the access and error logs
// and in forward_auth's, whose upstream is the app.
func checkSessionInLogs(t *testing.T, s *stack.Stack, logs string, sessions ...string) {
	t.Helper()
	seen := false
	for line := range strings.Lines(logs) {
		for _, session := range sessions {
			if !strings.Contains(line, session) {
				continue
			}
			seen = true
			var entry struct{ Logger, Upstream string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			stock := strings.HasPrefix(entry.Logger, "http.log.") || entry.Logger == "http.handlers.reverse_proxy" && entry.Upstream == s.AppAddr
			if !stock {
				t.Errorf("%s logs the session cookie: %s", entry.Logger, line)
			}
		}
	}
	if !seen {
		t.Error("log_credentials printed no cookie: is the log complete?")
	}
}
