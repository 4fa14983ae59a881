// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
	"github.com/caddy-delegate/caddy-delegate/integration/widget"
)

// widgetRig is a running stack whose platform has a widget in the app's page.
type widgetRig struct {
	*connection
	platform *widget.Platform
}

// startWidget starts such a platform, and a Caddy in front of it.
func startWidget(t testing.TB) *widgetRig {
	t.Helper()
	s := newStack(t)
	platform := widget.NewPlatform()
	t.Cleanup(platform.Close)
	w := &widgetRig{&connection{Stack: s, t: t}, platform}
	load(t, s, w.caddyfile())
	return w
}

func (w *widgetRig) caddyfile() string {
	return administered(`{` + stack.Options + `
	delegate {
		provider widget {
			platform ` + w.platform.URL() + `
		}
		grants sqlite ` + filepath.Join(w.Dir, "grants", "grants.db") + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle /metrics {
		metrics
	}
	handle_path /data/* {` + stack.SignIn + `
		delegate_proxy widget {
			subject {rp.header.Remote-User}
			allow GET /**
		}
	}
	handle_path /connect/widget/* {
		@member {
			not method OPTIONS
			not path /redeem/* /connect.js
		}
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect widget {
			url     http://127.0.0.1:[[.Port]]/connect/widget
			then    /profile
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
}

// started is what POST /start answers.
type started struct {
	ClientUserID string `json:"clientUserId"`
	RedeemURL    string `json:"redeem_url"`
	ExpiresIn    int    `json:"expires_in"`
}

// startIn begins a flow in a browser.
func (w *widgetRig) startIn(b *browser, body string) (s started) {
	w.t.Helper()
	a := b.do(http.MethodPost, "/connect/widget/start", body, "Content-Type", "application/json")
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.StatusCode != http.StatusOK || s.ClientUserID == "" || s.ExpiresIn <= 0 {
		w.t.Fatalf("start: %d %s", a.StatusCode, a.body)
	}
	return s
}

// handover is the body that hands a special token over.
func handover(specialToken string) string { return `{"specialToken":"` + specialToken + `"}` }

// redeemIn posts a special token from a browser.
func (w *widgetRig) redeemIn(b *browser, specialToken string) answer {
	w.t.Helper()
	return b.do(http.MethodPost, "/connect/widget/redeem", handover(specialToken), "Content-Type", "application/json")
}

// consents is how often an event was counted; the counters are the process's.
func (w *widgetRig) consents(b *browser, event string) (n int) {
	w.t.Helper()
	name := `caddy_delegate_consents_total{event="` + event + `",provider="widget",source=""} `
	for line := range strings.Lines(b.do(http.MethodGet, "/metrics", "").body) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return n
}
