// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// healthExchange is one call of the browser and what came of it, and how the
// user's special token was exchanged.
type healthExchange struct {
	Sent     *shownRequest `json:"sent"`
	Steps    []step        `json:"steps"`
	Received *shownRequest `json:"received"` // nil: the platform received no call of this user's
	Token    string        `json:"token"`    // the special token that the browser held, in full: it is used up
	Asked    []field       `json:"asked"`    // what Caddy sent to the platform's exchange
	Answered []field       `json:"answered"` // what the platform answered
}

// of returns the latest call of a user's session.
func (p *healthPlatform) of(session, user string) healthExchange {
	x := healthExchange{Steps: []step{}}
	mine := []string{} // accounts
	for i, t := range p.heldBy(user) {
		if i == 0 {
			x.Token = t.token
			x.Asked, x.Answered = p.show(t)
		}
		mine = append(mine, t.exchange.UserCode)
	}
	p.mu.Lock()
	s, called := p.latest[session]
	p.mu.Unlock()
	if !called {
		return x
	}
	x.Sent = shownRequestOf(s.method, s.uri, s.header, "", browserRequest{})
	for _, r := range p.platform.Records() {
		if r.Area == "data" && !r.Time.Before(s.at) && slices.Contains(mine, r.UserCode) {
			h := r.Header.Clone()
			h.Set("Host", r.Host)
			x.Received = shownRequestOf(r.Method, r.URI, h, "", s)
			x.Steps = append(x.Steps, step{"API call", r.Method, r.URI, r.Status})
		}
	}
	return x
}

// exchangeOf finds the exchange by which a special token was redeemed.
func exchangeOf(token string, records []connect.Record) (connect.Record, bool) {
	for _, r := range slices.Backward(records) {
		if r.Area == "exchange" && r.UserCode != "" && fieldsOf(r.Body)["specialToken"] == token {
			return r, true
		}
	}
	return connect.Record{}, false
}

// show tells what Caddy and the platform said to each other. What the browser knows
// of it is what it posted.
func (p *healthPlatform) show(t heldToken) (asked, answered []field) {
	var posted browserRequest
	p.mu.Lock()
	for _, s := range p.redeems[t.user] {
		if s.at.Before(t.exchange.Time) {
			posted = s
		}
	}
	p.mu.Unlock()
	posted.body = t.token
	sent := fieldsOf(t.exchange.Body)
	for _, name := range []string{"clientId", "clientSecret", "specialToken"} {
		asked = append(asked, posted.shownField(name, sent[name]))
	}
	for _, f := range [][2]string{
		{"UserCode", t.connection.UserCode},
		{"accessToken", t.connection.AccessToken},
		{"clientUserId", t.connection.ClientUserID},
		{"publicToken", t.connection.PublicToken},
	} {
		answered = append(answered, posted.shownField(f[0], f[1]))
	}
	return asked, answered
}
