// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// person is a participant of the fake platform.
type person struct {
	id, identifier string
	field          any // customFields.appUser
	withdrawn      any
}

func guid(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

func people(n int) []person {
	all := make([]person, n)
	for i := range all {
		all[i] = person{id: guid(i), identifier: fmt.Sprintf("planted-%d", i), field: fmt.Sprintf("planted-%d", i)}
	}
	return all
}

// largeProject is how many people are where [people] puts them.
const largeProject = 100_000

// platform is a fake MyDataHelps below [testBase], in memory.
type platform struct {
	mu       sync.Mutex
	people   []person
	keys     []*rsa.PublicKey
	lifetime int // of tokens
	limit    int // administrative requests an hour; 0 = no headers
	used     int
	ends     time.Time
	pageSize int
	filter   string        // list parameter that filters for the field
	delay    time.Duration // of administrative answers

	live    map[string]bool // service tokens
	refuse  map[string]bool // participant IDs
	minted  int
	service int // tokens minted
	grants  []url.Values
	gets    []string // escaped last path segments
	lists   []url.Values
	asserts int

	// admin and token answer instead, if they return an answer.
	admin func(*http.Request) *http.Response
	token func(url.Values) *http.Response
}

func newPlatform(all ...person) *platform {
	return &platform{
		people: all, keys: []*rsa.PublicKey{&testKeys()[0].PublicKey}, lifetime: 3600, limit: 1000, pageSize: pageSize,
		live: make(map[string]bool), refuse: make(map[string]bool),
	}
}

// counts returns the calls so far.
func (f *platform) counts() (gets, lists, grants, service int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.gets), len(f.lists), len(f.grants), f.service
}

// change alters the platform safely.
func (f *platform) change(with func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	with()
}

func reply(status int, body any) *http.Response {
	text, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(text)),
	}
}

func (f *platform) RoundTrip(req *http.Request) (*http.Response, error) {
	path, ok := strings.CutPrefix(req.URL.String(), testBase)
	if !ok {
		return nil, fmt.Errorf("nobody at %s", req.URL)
	}
	path, _, _ = strings.Cut(path, "?")
	if path == "/identityserver/connect/token" {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		return f.connect(form), nil
	}
	rest, ok := strings.CutPrefix(path, "/api/v1/administration/projects/"+testProject+"/participants")
	if !ok || req.Method != http.MethodGet {
		return reply(404, "{}"), nil
	}
	if f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return f.administer(req, rest), nil
}

func (f *platform) connect(form url.Values) *http.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	if form.Has("client_assertion") {
		f.asserts++
	} else {
		f.grants = append(f.grants, form)
	}
	if f.token != nil {
		if res := f.token(form); res != nil {
			return res
		}
	}
	failed := func(code string) *http.Response {
		return reply(400, map[string]string{"error": code, "error_description": "planted"})
	}
	f.minted++
	access := fmt.Sprintf("%032x", f.minted)
	if form.Has("client_assertion") {
		if !f.verify(form) {
			return failed("invalid_client")
		}
		f.service++
		f.live[access] = true
	} else {
		switch {
		case form.Get("client_id") != DefaultClientID || form.Get("client_secret") != "secret":
			return failed("invalid_client")
		case form.Get("grant_type") != "delegated_participant":
			return failed("unsupported_grant_type")
		case !f.live[form.Get("token")], f.refuse[form.Get("participant_id")]:
			return failed("invalid_grant")
		}
	}
	return reply(200, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": f.lifetime})
}

func (f *platform) verify(form url.Values) bool {
	jws, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || form.Get("grant_type") != "client_credentials" || form.Get("scope") != "api" || form.Has("client_id") ||
		form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	for _, key := range f.keys {
		payload, err := jws.Verify(key)
		if err != nil {
			continue
		}
		var claims struct{ Iss, Sub, Aud string }
		return json.Unmarshal(payload, &claims) == nil && claims.Iss == testAccount && claims.Sub == testAccount &&
			claims.Aud == testBase+"/identityserver/connect/token"
	}
	return false
}

func (f *platform) administer(req *http.Request, rest string) *http.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rest == "" {
		f.lists = append(f.lists, req.URL.Query())
	} else {
		f.gets = append(f.gets, rest[1:])
	}
	if f.admin != nil {
		if res := f.admin(req); res != nil {
			return res
		}
	}
	if !f.live[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")] {
		return reply(401, "{}")
	}
	f.used++
	res := f.find(req, rest)
	if f.limit > 0 {
		if now := time.Now(); !now.Before(f.ends) {
			f.used, f.ends = 1, now.Add(time.Hour)
		}
		if f.used > f.limit {
			res = reply(429, "{}")
		}
		res.Header.Set("RateLimit-Limit", strconv.Itoa(f.limit))
		res.Header.Set("RateLimit-Remaining", strconv.Itoa(max(0, f.limit-f.used)))
		res.Header.Set("RateLimit-Reset", strconv.Itoa(int(time.Until(f.ends)/time.Second)))
	}
	return res
}

func (f *platform) find(req *http.Request, rest string) *http.Response {
	if rest != "" {
		identifier, err := url.PathUnescape(rest[1:])
		people := f.people
		if n, bad := strconv.Atoi(strings.TrimPrefix(identifier, "planted-")); len(people) >= largeProject { // too many to look through
			if people = nil; bad == nil && n < len(f.people) {
				people = f.people[n : n+1]
			}
		}
		for _, p := range people {
			if err == nil && p.identifier == identifier {
				return reply(200, p.json())
			}
		}
		return reply(404, "{}")
	}
	q := req.URL.Query()
	matching := f.people
	if f.filter != "" && q.Has(f.filter) {
		matching = nil
		for _, p := range f.people {
			if p.field == q.Get(f.filter) {
				matching = append(matching, p)
			}
		}
	}
	number, _ := strconv.Atoi(q.Get("pageNumber"))
	from := min(number*f.pageSize, len(matching))
	page := []any{}
	for _, p := range matching[from:min(from+f.pageSize, len(matching))] {
		page = append(page, p.json())
	}
	return reply(200, map[string]any{"totalParticipants": len(matching), "participants": page, "planted": true})
}

func (p person) json() map[string]any {
	return map[string]any{
		"id": p.id, "participantIdentifier": p.identifier, "withdrawDate": p.withdrawn, "enrolled": true,
		"customFields": map[string]any{"appUser": p.field, "other": "x"}, "demographics": nil, "new": []int{1},
	}
}
