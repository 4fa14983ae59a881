// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// flow is a person's way through the pages. It is never changed.
type flow struct {
	id          string
	client      Client
	redirectURI string
	state       string
	hasState    bool
	scopes      []string // asked for
	challenge   string
	nonce       string
	offline     bool // access_type
	prompt      []string
	base        string        // the address at which the browser reached the page
	request     *requestToken // of OAuth 1.0a
	expires     time.Time
}

// flows are those that are on their way.
type flows struct {
	mu      sync.Mutex
	flows   map[string]*flow
	session map[string]string // account by the browser's cookie
}

const flowLifetime = 10 * time.Minute

// redirectError is what is wrong with an authorize request, told to the client by a
// redirect (RFC 6749 section 4.1.2.1). Other errors are told to the person.
type redirectError struct {
	flow              *flow
	code, description string
}

func (e *redirectError) Error() string { return e.code + ": " + e.description }

// beginFlow reads an authorize request. The error is a [*redirectError] or for the
// person.
func (v *Vendor) beginFlow(q url.Values, base string, s *Settings, now time.Time) (*flow, error) {
	var f *flow
	var err error
	if s.Protocol == OAuth1 {
		f, err = v.beginOAuth1(q, s, now)
	} else {
		f, err = v.beginOAuth2(q, base, s)
	}
	if err != nil {
		return nil, err
	}
	f.base, f.expires = base, now.Add(flowLifetime)
	v.flows.mu.Lock()
	defer v.flows.mu.Unlock()
	if v.flows.flows == nil {
		v.flows.flows, v.flows.session = make(map[string]*flow), make(map[string]string)
	}
	v.flows.flows[f.id] = f
	return f, nil
}

func (v *Vendor) beginOAuth2(q url.Values, base string, s *Settings) (*flow, error) {
	for name, values := range q {
		if len(values) > 1 {
			return nil, fmt.Errorf("%s is there twice", name)
		}
	}
	client, ok := v.client(q.Get("client_id"))
	if !ok {
		return nil, errors.New("client_id is that of no client")
	}
	f := &flow{
		id: secret("flow-"), client: client, redirectURI: q.Get("redirect_uri"), state: q.Get("state"), hasState: q.Has("state"),
		challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), offline: q.Get("access_type") == "offline", prompt: strings.Fields(q.Get("prompt")),
	}
	if !client.mayReturnTo(f.redirectURI) {
		return nil, fmt.Errorf("redirect_uri %q is none of the client's", f.redirectURI)
	}
	if q.Get("response_type") != "code" {
		return nil, &redirectError{f, "unsupported_response_type", "response_type is not code"}
	}
	if len(f.state) < s.MinState {
		return nil, &redirectError{f, "invalid_request", fmt.Sprintf("state is shorter than %d characters", s.MinState)}
	}
	if reason := checkChallenge(q, s.PKCE); reason != "" {
		return nil, &redirectError{f, "invalid_request", reason}
	}
	for name, want := range s.AuthorizeParams {
		if q.Get(name) != want {
			return nil, &redirectError{f, "invalid_request", name + " is not " + want}
		}
	}
	if aud := s.fhirBase(base); s.Protocol == SMART && q.Get("aud") != aud {
		return nil, &redirectError{f, "invalid_request", "aud is not " + aud}
	}
	var err error
	if f.scopes, err = readScopes(q.Get("scope"), s); err != nil {
		return nil, &redirectError{f, "invalid_scope", err.Error()}
	}
	return f, nil
}

// s256 is the form of a code_challenge (RFC 7636 section 4.2).
var s256 = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func checkChallenge(q url.Values, pkce string) string {
	asked := q.Has("code_challenge") || q.Has("code_challenge_method")
	switch {
	case pkce == "refused" && asked:
		return "this vendor does not know code_challenge"
	case pkce == "required" && !asked:
		return "code_challenge is missing"
	case asked && q.Get("code_challenge_method") != "S256":
		return "code_challenge_method is not S256"
	case asked && !s256.MatchString(q.Get("code_challenge")):
		return "code_challenge is no SHA-256"
	}
	return ""
}

// readScopes reads the parameter scope. Without one, all are asked for.
func readScopes(text string, s *Settings) ([]string, error) {
	if len(s.Scopes) == 0 {
		if text != "" {
			return nil, errors.New("this vendor does not know scopes")
		}
		return nil, nil
	}
	if text == "" {
		return s.Scopes, nil
	}
	scopes := strings.Split(text, s.separator())
	for i, scope := range scopes {
		switch {
		case s.Protocol == SMART && smartScope.MatchString(scope): // any of its form
		case !slices.Contains(s.Scopes, scope):
			return nil, fmt.Errorf("there is no scope %q", scope)
		}
		if slices.Contains(scopes[:i], scope) {
			return nil, fmt.Errorf("the scope %s is there twice", scope)
		}
	}
	if s.FirstScope != "" && scopes[0] != s.FirstScope {
		return nil, fmt.Errorf("the scope %s does not stand first", s.FirstScope)
	}
	return scopes, nil
}

func (s *Settings) separator() string {
	if s.ScopeSeparator == "" {
		return " "
	}
	return s.ScopeSeparator
}

// mayReturnTo reports whether the client has registered the address.
func (c *Client) mayReturnTo(uri string) bool {
	if len(c.RedirectURIs) > 0 {
		return slices.Contains(c.RedirectURIs, uri)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") || ip != nil && ip.IsLoopback()
}

// flow returns one by its ID, nil if it has expired or is over.
func (v *Vendor) flow(id string, now time.Time) *flow {
	v.flows.mu.Lock()
	defer v.flows.mu.Unlock()
	f := v.flows.flows[id]
	if f == nil || !now.Before(f.expires) {
		delete(v.flows.flows, id)
		return nil
	}
	return f
}
