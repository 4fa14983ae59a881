// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Decision is what a person decides on the vendor's pages.
type Decision struct {
	// Account is the ID of the account that the person has. Default: the first one.
	Account string `json:"account"`
	Deny    bool   `json:"deny"`
	// Patient is whose record the person opens. Default: the account's first one.
	Patient string `json:"patient"`
	// Untick are scopes that the person does not give, where that can be chosen.
	Untick []string `json:"untick"`
}

// Decide does what a browser does that opens an authorize URL, and a person who
// decides at once. It returns where the browser is led. The error is what the
// person would read instead.
func (v *Vendor) Decide(authorizeURL string, d Decision) (redirect string, err error) {
	u, err := url.Parse(authorizeURL)
	if err != nil {
		return "", err
	}
	s, now := v.Settings(), v.clock()
	if u.Path != s.Paths.Authorize {
		return "", fmt.Errorf("%s is not the page of consent, which is %s", u.Path, s.Paths.Authorize)
	}
	f, err := v.beginFlow(u.Query(), u.Scheme+"://"+u.Host, &s, now)
	var refused *redirectError
	switch {
	case errors.As(err, &refused):
		return refused.flow.failed(refused.code, refused.description, &s), nil
	case err != nil:
		return "", err
	}
	if d.Account == "" && len(v.accounts) > 0 {
		d.Account = v.accounts[0].ID
	}
	return v.decide(f, d, &s, now)
}

// decide ends a flow. It returns where the browser is led.
func (v *Vendor) decide(f *flow, d Decision, s *Settings, now time.Time) (string, error) {
	account, ok := v.account(d.Account)
	if !ok {
		return "", fmt.Errorf("there is no account %q", d.Account)
	}
	v.flows.mu.Lock()
	_, open := v.flows.flows[f.id]
	delete(v.flows.flows, f.id)
	v.flows.mu.Unlock()
	switch {
	case !open:
		return "", errors.New("this page has been answered")
	case d.Deny && f.request != nil:
		return v.denyOAuth1(f, s), nil
	case d.Deny:
		return f.failed("access_denied", "the person has declined", s), nil
	}
	g := &grant{client: f.client.ID, account: account.ID, scopes: f.scopes, redirectURI: f.redirectURI}
	if s.Untick {
		g.scopes = slices.DeleteFunc(slices.Clone(f.scopes), func(scope string) bool { return slices.Contains(d.Untick, scope) })
	}
	g.scopes = append(slices.Clip(g.scopes), s.Wider...)
	if s.Protocol == SMART {
		if g.patient, ok = account.patient(d.Patient); !ok {
			return "", fmt.Errorf("the account opens no record of a patient %q", d.Patient)
		}
	}
	if f.request != nil {
		return v.approveOAuth1(f, g, s), nil
	}
	code := v.store.issueCode(&code{
		grant: g, challenge: f.challenge, nonce: f.nonce, google: f.offline && (slices.Contains(f.prompt, "consent") || !v.store.consented(g)),
		expires: now.Add(time.Duration(s.CodeLifetime) * time.Second),
	})
	answer := url.Values{"code": {code}}
	if slices.Contains(s.Granted, "redirect") {
		answer.Set("scope", strings.Join(g.scopes, s.separator()))
	}
	return f.redirect(answer, s), nil
}

// patient is the one that was chosen.
func (a *Account) patient(id string) (string, bool) {
	if id == "" && len(a.Patients) > 0 {
		return a.Patients[0].ID, true
	}
	i := slices.IndexFunc(a.Patients, func(p Patient) bool { return p.ID == id })
	return id, i >= 0
}

// failed is where the browser is led with an error.
func (f *flow) failed(code, description string, s *Settings) string {
	return f.redirect(url.Values{"error": {code}, "error_description": {description}}, s)
}

// redirect is the client's address with the answer.
func (f *flow) redirect(answer url.Values, s *Settings) string {
	if f.hasState {
		answer.Set("state", f.state)
	}
	if s.Iss != "" {
		answer.Set("iss", strings.ReplaceAll(s.Iss, "base", f.base))
	}
	return withQuery(f.redirectURI, answer)
}

// withQuery adds parameters to those that an address has.
func withQuery(address string, more url.Values) string {
	address, fragment, _ := strings.Cut(address, "#")
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	address += separator + more.Encode()
	if fragment != "" {
		address += "#" + fragment
	}
	return address
}
