// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// The client at simulated vendors.
const (
	vendorClient = "bench"
	vendorSecret = "bench-secret"
)

// vendorRoute is what the load asks a vendor for: route without the source.
var vendorRoute = strings.TrimPrefix(route, "/"+sourceName)

// playVendor is a simulated vendor: args are its preset and the number of people who
// have an account there.
func playVendor(args []string) error {
	people, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	v := sources.New(sources.Options{
		Preset: args[0], Accounts: sources.SampleAccounts(people), Clients: []sources.Client{{ID: vendorClient, Secret: vendorSecret, Name: "Bench"}},
	})
	return serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, vendorRoute) { // the load asks everybody for the same
			r.URL.Path = "/v1/notes"
		}
		v.ServeHTTP(w, r)
	}))
}

// vendor is a simulated vendor in a process of its own.
type vendor struct {
	address  string // with scheme
	preset   string
	accounts []string
}

// vendor starts one.
func (b *bench) vendor(preset string, people int) (*vendor, error) {
	_, addr, err := b.start("vendor", preset, strconv.Itoa(people))
	if err != nil {
		return nil, err
	}
	v := &vendor{address: "http://" + addr, preset: preset}
	for _, a := range sources.SampleAccounts(people) {
		v.accounts = append(v.accounts, a.ID)
	}
	return v, nil
}

// source is the vendor's block in a Caddyfile, by the name of sourceName. The data
// comes from api, or from the vendor if that is empty.
func (v *vendor) source(api, lines string) string {
	paths := [3]string{"/oauth2/authorize", "none", "/oauth2/token"}
	scopes, account := "scopes results.read", "account get "+v.address+"/v1/me id"
	if v.preset == "old_lab" {
		paths, scopes = [3]string{"/oauth1/authorize", v.address + "/oauth1/request_token", "/oauth1/access_token"}, ""
	}
	if api == "" {
		api = v.address
	} else {
		account = "" // which the API's host alone may tell
	}
	return `
		source ` + sourceName + ` {
			name              Lab
			auth_host_url     ` + v.address + `
			api_host_url      ` + api + `
			auth_url          ` + paths[0] + `
			request_token_url ` + paths[1] + `
			access_token_url  ` + v.address + paths[2] + `
			full_auth_url     auto
			client_id         ` + vendorClient + `
			client_secret     ` + vendorSecret + `
			allow_private
			` + strings.Join([]string{scopes, account, lines}, "\n\t\t\t") + `
		}`
}

// control does a control call of the simulator.
func (v *vendor) control(ctx context.Context, method, name string, body, into any) error {
	return (&stage{platform: v.address}).control(ctx, method, "/_simulator/"+name, body, into)
}

// mode has the vendor fail in a way; "" has it work.
func (v *vendor) mode(ctx context.Context, name string) error {
	modes := []string{}
	if name != "" {
		modes = append(modes, name)
	}
	return v.control(ctx, http.MethodPost, "mode", map[string]any{"modes": modes}, nil)
}

// set changes the vendor's settings.
func (v *vendor) set(ctx context.Context, change map[string]any) error {
	return v.control(ctx, http.MethodPatch, "settings", change, nil)
}

// expire ends access tokens: those of some accounts, or all.
func (v *vendor) expire(ctx context.Context, accounts ...string) error {
	return v.control(ctx, http.MethodPost, "expire", map[string]any{"accounts": accounts}, nil)
}

func (v *vendor) reset(ctx context.Context) error {
	return v.control(ctx, http.MethodPost, "reset", nil, nil)
}

func (v *vendor) counts(ctx context.Context) (n sources.Counts, err error) {
	return n, v.control(ctx, http.MethodGet, "counts", nil, &n)
}

// ended returns how many consents have ended, of how many.
func (v *vendor) ended(ctx context.Context) (ended, all int, err error) {
	var grants []sources.Grant
	if err := v.control(ctx, http.MethodGet, "grants", nil, &grants); err != nil {
		return 0, 0, err
	}
	for _, g := range grants {
		if g.Ended {
			ended++
		}
	}
	return ended, len(grants), nil
}

// decide has a person agree on the vendor's page, and returns where their browser is
// led: path and query.
func (v *vendor) decide(ctx context.Context, page, account string) (string, error) {
	var to struct{ Location string }
	if err := v.control(ctx, http.MethodPost, "decide", map[string]string{"url": page, "account": account}, &to); err != nil {
		return "", err
	}
	u, err := url.Parse(to.Location)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

// sourceConnected is a person's flow that was begun: what their browser has.
type sourceConnected struct {
	user, page, cookies string
}

// beginSource begins a person's flow.
func (s *server) beginSource(ctx context.Context, user string) (*sourceConnected, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+consentsPath+"/start/"+sourceName, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(sessionHeader, user)
	res, text, err := answerOf(req)
	if err != nil {
		return nil, err
	}
	var begun struct{ URL string }
	if err := json.Unmarshal(text, &begun); err != nil || res.StatusCode != http.StatusOK {
		return nil, unexpected("/start", res, text)
	}
	f := &sourceConnected{user: user, page: begun.URL}
	for _, c := range res.Cookies() {
		f.cookies += c.Name + "=" + c.Value + "; "
	}
	return f, nil
}
