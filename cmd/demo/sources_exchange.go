// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// sourceExchange is one call of the browser and what came of it, and how the user's
// account at the vendor was connected.
type sourceExchange struct {
	Sent     *shownRequest `json:"sent"`
	Steps    []step        `json:"steps"`
	Received *shownRequest `json:"received"` // nil: the vendor received no call of this user's
	Back     []field       `json:"back"`     // what the browser came back with
	Asked    []field       `json:"asked"`    // what Caddy then sent to the vendor
	Kept     []field       `json:"kept"`     // what Caddy keeps: the vendor's latest tokens
}

// visit is how an account was connected.
type visit struct {
	journey
	exchange sources.Record // Caddy's request
}

// owners are who has connected which account, by account: the one who was first, as
// long as they do not disconnect.
func (v *vendor) owners() map[string]visit {
	records := v.Records()
	v.mu.Lock()
	defer v.mu.Unlock()
	owners := make(map[string]visit)
	for _, j := range v.journeys {
		r, ok := exchangeAfter(j.back, records)
		ended := j.back.at.IsZero()
		if !ended && (!ok || owners[r.Account].user != "" && owners[r.Account].user != j.user) {
			continue
		}
		maps.DeleteFunc(owners, func(_ string, o visit) bool { return o.user == j.user }) // one user, one account
		if !ended {
			owners[r.Account] = visit{j, r}
		}
	}
	return owners
}

// exchangeAfter finds the exchange of the code or verifier that a browser came back
// with, if the vendor has answered it with tokens.
func exchangeAfter(back browserRequest, records []sources.Record) (sources.Record, bool) {
	u, err := url.Parse(back.uri)
	if err != nil {
		return sources.Record{}, false
	}
	q := u.Query()
	given := q.Get("code") + q.Get("oauth_verifier")
	for _, r := range records {
		if given != "" && r.Area == "code" && r.Account != "" && slices.ContainsFunc(sentFields(r), func(f [2]string) bool { return f[1] == given }) {
			return r, true
		}
	}
	return sources.Record{}, false
}

// accountOf is the account that a user has connected, empty if none.
func (v *vendor) accountOf(user string) string {
	for account, o := range v.owners() {
		if user != "" && o.user == user {
			return account
		}
	}
	return ""
}

// connected tells how the user's account was connected.
func (v *vendor) connected(user string) sourceExchange {
	x := sourceExchange{Steps: []step{}}
	account := v.accountOf(user)
	if account == "" {
		return x
	}
	o := v.owners()[account]
	x.Back = shownRequestOf(o.back.method, o.back.uri, nil, "", browserRequest{}).Query
	for _, f := range sentFields(o.exchange) {
		x.Asked = append(x.Asked, o.back.shownField(f[0], f[1]))
	}
	for _, g := range slices.Backward(v.Grants()) {
		if g.Account == account {
			x.Kept = append(x.Kept, o.back.shownField("access_token", g.Access))
			if g.Refresh != "" {
				x.Kept = append(x.Kept, o.back.shownField("refresh_token", g.Refresh))
			}
			break
		}
	}
	return x
}

// showCall adds the user's latest call, and what Caddy asked the vendor for since.
func (v *vendor) showCall(x *sourceExchange, user string, sent browserRequest) {
	x.Sent = shownRequestOf(sent.method, sent.uri, sent.header, "", browserRequest{})
	account := v.accountOf(user)
	v.learn()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.Records() {
		whose := r.Account
		if whose == "" { // a refused call is nobody's
			whose = v.accounts[tokenIn(r)]
		}
		if account == "" || whose != account || r.Time.Before(sent.at) {
			continue
		}
		what := map[string]string{"data": "API call", "refresh": "Refresh", "account": "Question whose the token is"}[r.Area]
		if what == "" {
			continue
		}
		x.Steps = append(x.Steps, step{what, r.Method, r.URI, r.Status})
		if r.Area == "data" {
			h := r.Header.Clone()
			h.Set("Host", r.Host)
			x.Received = shownRequestOf(r.Method, r.URI, h, "", sent)
		}
	}
}

// learn notes whose the vendor's latest tokens are.
func (v *vendor) learn() {
	grants := v.Grants()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range grants {
		v.accounts[g.Access] = g.Account
		if g.Refresh != "" {
			v.accounts[g.Refresh] = g.Account
		}
	}
}

var oauthParameter = regexp.MustCompile(`(oauth_\w+)="([^"]*)"`)

// tokenIn is the token that a request of Caddy's carries.
func tokenIn(r sources.Record) string {
	for _, f := range sentFields(r) {
		switch f[0] {
		case "oauth_token", "refresh_token":
			return f[1]
		case "Authorization":
			if token, ok := strings.CutPrefix(f[1], "Bearer "); ok {
				return token
			}
		}
	}
	return ""
}

// sentFields are the names and values of what a request of Caddy's carries besides
// its address: in Authorization, and in the form.
func sentFields(r sources.Record) (fields [][2]string) {
	authorization := r.Header.Get("Authorization")
	fields = oauthParameters(authorization)
	if authorization != "" && fields == nil {
		fields = append(fields, [2]string{"Authorization", authorization})
	}
	if r.Method != http.MethodPost {
		return fields
	}
	for pair := range strings.SplitSeq(r.Body, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			fields = append(fields, [2]string{unescape(name), unescape(value)})
		}
	}
	return fields
}

// oauthParameters are the names and values that Authorization has with OAuth 1.0a.
func oauthParameters(authorization string) (parameters [][2]string) {
	for _, m := range oauthParameter.FindAllStringSubmatch(authorization, -1) {
		value, _ := url.PathUnescape(m[2])
		parameters = append(parameters, [2]string{m[1], value})
	}
	return parameters
}
