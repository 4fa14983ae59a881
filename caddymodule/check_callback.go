// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// checkCallbacks posts to the callback of each delegate_connect, by the address
// that the platform calls. It sends nothing that the platform would show itself
// by: the right answer is delegate_connect's, that it is not the platform.
func (l *checkedConfig) checkCallbacks(ctx context.Context, provider string, tell func(delegation.Finding)) {
	n := 0
	for _, p := range l.handlers {
		if p.name() != "delegate_connect" || provider != "" && text(p.node, "provider") != provider {
			continue
		}
		n++
		f := l.checkCallback(ctx, &p)
		f.Step = "callback"
		f.Detail = text(p.node, "provider") + ": " + f.Detail
		tell(f)
	}
	if n == 0 {
		tell(delegation.Finding{Step: "callback", Detail: "there is no delegate_connect in the configuration", Skipped: true})
	}
}

func (l *checkedConfig) checkCallback(ctx context.Context, p *placedHandler) delegation.Finding {
	c, err := l.loadConnect(p)
	if err != nil {
		return delegation.Finding{Detail: err.Error()}
	}
	if !c.provider.canReadCallbacks() {
		return delegation.Finding{Detail: "this platform's server does not call: the page or app brings the consent", Skipped: true}
	}
	segment := c.callbackSegment.Reveal()
	if segment == "" {
		return delegation.Finding{Detail: "it has none: the platform cannot tell that anybody has consented; add callback"}
	}
	where := c.baseURL.String() + "/callback/…"
	res, unreachable := c.sendUnknown(ctx, http.MethodPost, callbackPath+"/"+segment, where)
	if res == nil {
		return unreachable
	}
	return c.judgeCallback(res, where, p)
}

// loadConnect loads a delegate_connect of the configuration, without running it.
func (l *checkedConfig) loadConnect(p *placedHandler) (*Connect, error) {
	raw, err := p.settings()
	if err != nil {
		return nil, err
	}
	module, err := l.ctx.LoadModuleByID("http.handlers.delegate_connect", raw)
	if err != nil {
		return nil, err
	}
	return module.(*Connect), nil
}

// sendUnknown sends a request to a path of delegate_connect, by the address that others
// call it at, with nothing that a session or a platform would show itself by. where is
// the address for findings. Without an answer it returns why.
func (c *Connect) sendUnknown(ctx context.Context, method, path, where string) (*unknownAnswer, delegation.Finding) {
	req, err := http.NewRequestWithContext(ctx, method, c.baseURL.String()+path, strings.NewReader("{}"))
	if err != nil {
		return nil, delegation.Finding{Detail: "its url makes no address"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", checkUserAgent)
	res, err := probeClient().Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, delegation.Finding{Detail: "nothing listens at " + c.baseURL.Host + ": start Caddy, and check again", Skipped: true}
	case err != nil:
		return nil, delegation.Finding{Detail: fmt.Sprintf("%s cannot be reached from here: %s", where, neterror.Cause(err))}
	}
	_ = res.Body.Close()
	return &unknownAnswer{res.StatusCode, res.Header}, delegation.Finding{}
}

// unknownAnswer is an answer to [Connect.sendUnknown], without its body.
type unknownAnswer struct {
	status int
	header http.Header
}

// checkUserAgent marks the callback that check posts: what it is refused for stands
// in check's own output, and a line in the log would pass for the platform's.
const checkUserAgent = "caddy-delegate check"

// judgeCallback tells whether it was delegate_connect that answered.
func (c *Connect) judgeCallback(res *unknownAnswer, where string, p *placedHandler) delegation.Finding {
	own := strings.HasSuffix(res.header.Get("Proxy-Status"), callbackDetails)
	switch {
	case own && res.status == http.StatusForbidden:
		return delegation.Finding{Detail: where + " is answered by delegate_connect, which asks for the platform's credential", OK: true}
	case own && res.status == http.StatusNotFound && len(c.CallbackFrom) > 0:
		return delegation.Finding{Detail: where + " is for callback_from alone, which may leave out this machine; behind a proxy it is compared with that one's address, unless trusted_proxies of Caddy's servers names it", Skipped: true}
	case own && res.status == http.StatusNotFound:
		return delegation.Finding{Detail: where + " is answered by a delegate_connect that has another callback: reload the Caddy that runs there"}
	}
	said := answeredElsewhere(res, where)
	before := authenticatorsOf(p.before)
	switch {
	case len(before) > 0 && res.status != http.StatusNotFound:
		return delegation.Finding{Detail: said + ": the platform has no session, so " + strings.Join(before, " and ") +
			" has to let it pass; write `not path /callback/*` in the matcher (within handle_path the path is the one that is left, without the prefix)"}
	default:
		return delegation.Finding{Detail: said + ": see that url is where delegate_connect stands, and that nothing in front of Caddy answers"}
	}
}

// answeredElsewhere says what answers in place of delegate_connect.
func answeredElsewhere(res *unknownAnswer, where string) string {
	said := fmt.Sprintf("%s is not answered by delegate_connect, but with status %d", where, res.status)
	if location, err := url.Parse(res.header.Get("Location")); err == nil && location.Host != "" {
		said += " and a redirect to " + location.Host
	}
	return said
}

// authenticatorsIn are those among a route's handlers.
func authenticatorsIn(handlers any) []string {
	list, _ := handlers.([]any)
	var nodes []map[string]any
	for _, h := range list {
		node, _ := h.(map[string]any)
		nodes = append(nodes, node)
	}
	return authenticatorsOf(nodes)
}

// authenticatorsOf are the handlers that may ask for a session.
func authenticatorsOf(before []map[string]any) (names []string) {
	for _, node := range before {
		name := text(node, "handler")
		switch {
		case name == "reverse_proxy" && node["handle_response"] != nil:
			name = "forward_auth"
		case name == "authentication", name == "app_session":
		default:
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
