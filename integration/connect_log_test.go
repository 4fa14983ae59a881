// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// varsReader stands where forward_auth does, and reads Caddy's table of vars as a
// connection does that forward_auth began and did not need: at a time that nothing
// orders against what the handlers behind it do.
type varsReader struct{}

// CaddyModule returns the Caddy module information.
func (varsReader) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_vars_reader", New: func() caddy.Module { return new(varsReader) }}
}

func (varsReader) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		close(begun)
		_ = caddyhttp.GetVar(r.Context(), "reverse_proxy.proxy")
	}()
	<-begun
	err := next.ServeHTTP(w, r)
	<-ended
	return err
}

func init() {
	caddy.RegisterModule(varsReader{})
	httpcaddyfile.RegisterHandlerDirective("test_vars_reader", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return varsReader{}, nil })
}

// TestConnectWritesNoVars protects the process: delegate_connect writes nothing into
// Caddy's table of vars, which a connection that forward_auth has left over reads,
// whatever way the path is spelt. Only the race detector sees it.
func TestConnectWritesNoVars(t *testing.T) {
	c := startMydex(t, "", "")
	load(t, c.Stack, strings.NewReplacer(
		"\n\tdelegate {", "\n\torder test_vars_reader after forward_auth\n\tdelegate {",
		"delegate_connect mydex", "test_vars_reader\n\t\tdelegate_connect mydex",
	).Replace(c.caddyfile("", "")))
	alice := c.browser("alice")
	for _, path := range []string{"/return?state=x", "/callback/" + mydexSegment, "/callback/guess", "/callback", "/status"} {
		alice.do(http.MethodGet, "/connect/mydex"+path, "")
		alice.do(http.MethodGet, "/CONNECT//Mydex/."+path, "")
	}
}

// TestReturnIsNotLogged protects the state of a consent flow, which is in the
// address of /return: Caddy's access and error logs have it neither when
// delegate_connect answers nor when an authenticator does, or fails. People get
// the same answers and error pages as elsewhere on the site.
func TestReturnIsNotLogged(t *testing.T) {
	c := startMydex(t, "", "")
	site := func(prefix, before string) string {
		return `
	handle_path ` + prefix + `/* {` + before + `
		delegate_connect mydex {
			url     http://127.0.0.1:[[.Port]]` + prefix + `
			subject {rp.header.Remote-User}
		}
	}`
	}
	text, file := logged(t, c.caddyfile("", ""))
	text = strings.Replace(text, "\n\thandle {\n\t\treverse_proxy [[.AppAddr]]", `
	log
	handle_errors {
		header Page of-the-site
		respond "{err.status_code} at {path}" {err.status_code}
	}`+site("/refused", stack.SignIn)+site("/away", strings.Replace(stack.SignIn, "[[.AppAddr]]", "127.0.0.1:1", 1))+`
	handle /named/* {
		invoke connect
	}
	handle /error/* {
		error "canary-error" 500
	}
	handle {
		reverse_proxy [[.AppAddr]]`, 1)
	named := strings.Replace(site("/named", stack.SignIn), "handle_path /named/*", "&(connect)", 1)
	named = strings.Replace(named, "{", "{\n\t\turi strip_prefix /named", 1)
	text = strings.Replace(text, "http://127.0.0.1:[[.Port]] {", named+"\nhttp://127.0.0.1:[[.Port]] {", 1)
	load(t, c.Stack, text)
	alice, nobody := c.browser("alice"), c.browser("")
	for _, r := range []struct {
		who    *browser
		method string
		path   string
		status int
		page   string // of the site's handle_errors
	}{
		{alice, http.MethodGet, "/connect/mydex/return", http.StatusSeeOther, ""},
		{nobody, http.MethodGet, "/connect/mydex/return", http.StatusSeeOther, ""},
		{alice, http.MethodPost, "/connect/mydex/return", http.StatusMethodNotAllowed, "405 at /connect/mydex/return"},
		{alice, http.MethodGet, "/Connect/MYDEX//return", http.StatusSeeOther, ""},
		{alice, http.MethodGet, "/connect/mydex/return/somewhere", http.StatusForbidden, "403 at /connect/mydex/return/somewhere"},
		{nobody, http.MethodGet, "/refused/return", http.StatusUnauthorized, ""},
		{alice, http.MethodGet, "/away/return", http.StatusBadGateway, "502 at /away/return"},
		{alice, http.MethodGet, "/named/return", http.StatusSeeOther, ""},
	} {
		a := r.who.do(r.method, r.path+"?state=canary-state", "")
		if a.StatusCode != r.status || (a.Header.Get("Page") != "") != (r.page != "") || r.page != "" && a.body != r.page {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.StatusCode, a.body)
		}
	}
	// The controls: addresses that nobody keeps out of the logs.
	alice.do(http.MethodGet, "/connect/mydex/status?state=canary-access", "")
	alice.do(http.MethodGet, "/error/return?state=canary-error", "")
	failed, log := lines(t, file, "a request of a consent flow has failed before delegate_connect")
	if strings.Contains(log, "canary-state") {
		t.Errorf("the log has the state: %s", log)
	}
	for _, control := range []string{"canary-access", "/error/return?state=canary-error"} {
		if !strings.Contains(log, control) {
			t.Errorf("the log does not have %s", control)
		}
	}
	if len(failed) != 1 || failed[0]["status"] != float64(http.StatusBadGateway) || failed[0]["endpoint"] != "/return" {
		t.Errorf("of the error the log tells %v", failed)
	}
}
