// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// sinks are where people look who operate a Caddy: its log with access log and
// errors, the configuration that it saves, what is on its disk, and what the
// admin endpoint tells.
type sinks map[string]string

// readFiles reads what is in a folder, but for the files that hold secrets on
// purpose.
func (s sinks) readFiles(t *testing.T, root string, but ...string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || slices.Contains(but, path) {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of a database that is closed meanwhile
		}
		s["file "+d.Name()] += string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestT43_MydexSecretsStayInside protects the member key, the connection's
// token and its hash, the client's secret, bearers, the callback's address, and
// the tokens of consent flows: on a Caddy that logs all requests, and whatever goes
// wrong with a callback, they are in no place that a person reads. What the
// homemade site is sent in the same way is in the log.
func TestT43_MydexSecretsStayInside(t *testing.T) {
	before := caddy.ConfigAutosavePath
	t.Cleanup(func() { caddy.ConfigAutosavePath = before })
	caddy.ConfigAutosavePath = filepath.Join(t.TempDir(), "autosave.json")
	const homemade = "reverse_proxy unix/[[.Admin]] {\n\t\theader_up Host localhost\n\t\theader_up -Origin\n\t}"
	text := mydexCaddyfile("\n\tmetrics\n\tlog {\n\t\toutput file [[.Dir]]/caddy.log\n\t\tlevel INFO\n\t}", homemade)
	text = strings.NewReplacer("admin off", "admin unix/[[.Admin]]", "\tpersist_config off\n", "", ":[[.Port]] {", ":[[.Port]] {\n\tlog").Replace(text)
	m := startMydex(t, text)
	robin := m.member(0)
	seen := make(sinks)
	note := func(what string, got reply) {
		seen["answer "+what] += fmt.Sprint(got.status, got.header, got.trailer, got.body)
	}

	j := m.startConnect(connects[0], "alice")
	word := j.callbackForm(robin)
	length := fmt.Sprintf("Content-Length: %d", len(word))
	for what, request := range map[string]string{
		"another method":    http1("GET", callback, m.authority(false), authentic()),
		"an unknown method": http1("XPOST", callback, m.authority(false), authentic(), formType, length) + word,
		"options":           http1("OPTIONS", callback, m.authority(false), authentic(), "Origin: https://evil.example", "Access-Control-Request-Method: POST"),
		"breaks off":        http1("POST", callback, m.authority(false), authentic(), formType, "Content-Length: 5000") + word,
		"a bad chunk":       http1("POST", callback, m.authority(false), authentic(), formType, "Transfer-Encoding: chunked") + chunk(word) + "zz\r\n",
		"10 MB":             http1("POST", callback, m.authority(false), authentic(), formType, "Content-Length: 10485760") + word + "&x=" + strings.Repeat("x", 300<<10),
		"another type":      http1("POST", callback, m.authority(false), authentic(), "Content-Type: text/plain", length) + word,
		"no JSON":           http1("POST", callback, m.authority(false), authentic(), "Content-Type: application/json", length) + word,
		"a field twice":     http1("POST", callback, m.authority(false), authentic(), formType, fmt.Sprintf("Content-Length: %d", 2*len(word)+1)) + word + "&" + word,
		"twice":             http1("POST", callback, m.authority(false), authentic(), authentic(), formType, length) + word,
		"another segment":   http1("POST", callback+"0", m.authority(false), authentic(), formType, length) + word,
		"a slash more":      http1("POST", callback+"/", m.authority(false), authentic(), formType, length) + word,
		"no segment":        http1("POST", strings.TrimSuffix(callback, mydexSegment), m.authority(false), authentic(), formType, length) + word,
		"odd case":          http1("GET", "/CONNECT/Mydex/callback/"+mydexSegment, m.authority(false), authentic()),
		"escaped":           http1("GET", strings.Replace(callback, "callback", "%63allback", 1), m.authority(false), authentic()),
		"with credentials":  http1("GET", callback, m.authority(false), authentic(), "Authorization: Bearer x", j.session),
	} {
		note("callback: "+what, m.sendAndEnd(request))
	}
	for what, other := range map[string]mydex.Connection{
		"another uid": {UID: "1", ConID: robin.ConID, Key: robin.Key}, "another nid": {UID: robin.UID, ConID: robin.UID + "-1", Key: robin.Key}, "a key with a line feed": {UID: robin.UID, ConID: robin.ConID, Key: robin.Key + "\n"},
	} {
		note("callback: "+what, m.postCallback(j.callbackForm(other)))
	}
	for what, lines := range map[string][]string{"nobody": nil, "no cookie": {j.session}, "pending": {j.cookies()}, "another user": {m.rig.cookie("mallory") + "; " + j.cookie}} {
		note("return: "+what, m.do("GET", j.back, "", lines...))
		note("return by another method: "+what, m.do("POST", j.back, "", lines...))
	}
	j.wantConnected("alice", robin)
	bearer := m.bearer(j.session)
	for what, lines := range map[string][]string{"again": {j.cookies()}, "in another browser": {j.session}} {
		note("return: "+what, m.do("GET", j.back, "", lines...))
	}
	note("callback: again", m.postCallback(word))
	note("callback: another word", m.postCallback(j.callbackForm(m.member(1))))
	for _, prefix := range proxies {
		note("data", m.do("GET", prefix+datasetPath, "", j.session))
		note("a form", m.do("POST", prefix+"/calendar/add-event", "a=b", j.session, formType))
		note("not allowed", m.do("GET", prefix+"/api/pds/pds/1.json", "", j.session))
	}
	m.intercept(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
	note("Mydex hangs up", m.do("GET", "/pdx"+datasetPath, "", j.session))
	note("Mydex hangs up at the start", m.do("POST", connects[0]+"/start", "", j.session))
	m.intercept(nil)
	for _, path := range []string{
		"/config/", "/metrics", "/delegate/status", "/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1", "/debug/pprof/cmdline", "/debug/pprof/trace?seconds=0.01", "/reverse_proxy/upstreams",
	} {
		got := m.askHome("GET", path)
		if got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		note(path, got)
	}
	// The control: a header and an address that nobody keeps out of the log.
	m.askHome("POST", "/return?state=canary-state", "Authentication: canary-hash", "Content-Length: 0")

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	seen.readFiles(t, m.Dir, filepath.Join(m.Dir, "session.key"), m.KeyFile, m.CertKeyFile)
	seen.readFiles(t, filepath.Dir(caddy.ConfigAutosavePath))
	log := seen["file caddy.log"]
	for _, must := range []string{"handled request", "canary-state", "canary-hash", "a callback was not taken", "could not be read to its end", `"refused"`, `"http.log.error`} {
		if !strings.Contains(log, must) {
			t.Errorf("the log does not hold %q", must)
		}
	}
	if !strings.Contains(seen["file autosave.json"], "delegate_connect") || seen["file grants.db"] == "" {
		t.Errorf("the configuration or the grants are not saved")
	}
	_, browser, _ := strings.Cut(j.cookie, "=")
	secrets := map[string]string{
		"member key": robin.Key, "connection token": mydexToken, "hash of the connection token": mydex.Hash(mydexToken), "client secret": mydexSecret, "encoded client secret": url.QueryEscape(mydexSecret),
		"client's credentials": base64.StdEncoding.EncodeToString([]byte(url.QueryEscape("client:1") + ":" + url.QueryEscape(mydexSecret))),
		"callback's segment":   mydexSegment, "linking token": j.link, "state": strings.TrimPrefix(j.back, connects[0]+"/return?state="), "browser's token": browser, "bearer": strings.TrimPrefix(bearer, "Authorization: Bearer "),
	}
	for name, text := range seen {
		for kind, secret := range secrets {
			// The browser that is on a consent flow is the one place for its own tokens.
			// It keeps the address that it came to until its owner is there.
			waits := strings.HasSuffix(name, "pending") || strings.HasSuffix(name, "another user")
			own := strings.HasPrefix(name, "answer return: ") && (kind == "browser's token" || kind == "state" && waits)
			if i := strings.Index(text, secret); i >= 0 && !own {
				t.Errorf("%s holds the %s: %s", name, kind, text[max(0, i-300):i])
			}
		}
	}
}
