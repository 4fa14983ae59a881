// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// refusedTwice is a data call as the host carries it out: it is signed anew once, and
// what became of a second refusal is asked.
func (r *signedRig) refusedTwice() (status int, found *delegation.Refusal) {
	r.t.Helper()
	d := delegated("/weights")
	c := r.authorize(d)
	status, stale := r.send(c, r.outgoing("GET", "/weights", "", ""))
	if !stale {
		return status, nil
	}
	renewed, err := r.Renew(r.t.Context(), d, c)
	if err != nil {
		r.t.Fatal(r.code(err))
	}
	if status, stale = r.send(renewed, r.outgoing("GET", "/weights", "", "")); !stale {
		return status, nil
	}
	found = r.DiagnoseUnauthorized(r.t.Context(), d, renewed)
	if found != nil {
		r.code(found)
	}
	return status, found
}

// TestOAuth1Clock protects everybody behind a replica whose clock is wrong: requests are
// signed with the vendor's time, and no grant is suspended for it.
func TestOAuth1Clock(t *testing.T) {
	for name, silent := range map[string]bool{"timestamp_refused": false, "401 alone": true} {
		for _, ahead := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
			r := newSignedRig(t, nil)
			r.vendor.ahead, r.vendor.silent = ahead, silent
			r.connected()
			if status, found := r.refusedTwice(); status != http.StatusOK || found != nil {
				t.Errorf("%s, %s: status %d, %v", name, ahead, status, found)
			}
			if status, stale := r.send(r.authorize(delegated("/weights")), r.outgoing("GET", "/weights", "", "")); status != http.StatusOK || stale {
				t.Errorf("%s, %s: the next request: status %d", name, ahead, status)
			}
			// The legs as well, when they come first.
			r = newSignedRig(t, nil)
			r.vendor.ahead, r.vendor.silent = ahead, silent
			if _, err := r.start(); err != nil {
				t.Errorf("%s, %s: the first leg: %v", name, ahead, err)
			}
			if len(r.grants.suspended) > 0 {
				t.Errorf("%s, %s: a grant was suspended", name, ahead)
			}
		}
	}
}

// TestOAuth1WrongDate protects everybody from one answer whose date is not the vendor's
// time: of a cache, or of a route that is answered from elsewhere. The timestamps of other
// requests stay as they are.
func TestOAuth1WrongDate(t *testing.T) {
	for name, age := range map[string]string{"of a route": "", "of a cache": "72000"} {
		r := newSignedRig(t, nil)
		r.connected()
		clock := r.Provider.sources[0].protocol.(*oauth1Protocol).clock
		r.vendor.set(func(v *oauth1Vendor) {
			v.answer = func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/api/weights" && age == "" {
					_, _ = io.WriteString(w, "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true")
					return
				}
				w.Header().Set("Date", time.Now().Add(-20*time.Hour).UTC().Format(http.TimeFormat))
				if age != "" {
					w.Header().Set("Age", age)
				}
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		if status, _ := r.refusedTwice(); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
		if off := time.Since(time.Unix(clock.Timestamp(), 0)).Abs(); off > time.Minute {
			t.Errorf("%s: everybody's timestamps differ by %s", name, off)
		}
	}
}

// TestOAuth1Refused protects consents: a grant is suspended when the vendor says that it
// does not accept the token, or when all else is found to be in order.
func TestOAuth1Refused(t *testing.T) {
	problem := func(status int, text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return true
		}
	}
	withProbe := func(c *Config) {
		c.APIRefused = &APIRefused{Member: "error.code", Values: []string{"8", "9"}}
		c.Account = &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: "user.id"}
	}
	for name, c := range map[string]struct {
		probe             bool
		data, me, first   func(http.ResponseWriter, *http.Request) bool // of the data call, of the probe, of the first leg; nil: good
		acceptedElsewhere bool
		status            int
		code              delegation.Code
		suspended         bool
	}{
		"accepted":                     {status: 200},
		"the token is revoked":         {data: problem(401, "oauth_problem=token_revoked"), status: 401, code: delegation.ConsentRequired, suspended: true},
		"the client is unknown":        {data: problem(401, "oauth_problem=consumer_key_unknown"), status: 401, code: delegation.CredentialsRejected},
		"a nonce was used":             {data: problem(401, "oauth_problem=nonce_used"), status: 401},
		"a nonce was used, status 400": {data: problem(400, "oauth_problem=nonce_used"), status: 400},
		"a 400 of the API's own":       {data: problem(400, "canary"), status: 400},
		"a 403 of the API's own":       {data: problem(403, "canary"), status: 403},
		"401 alone":                    {data: problem(401, "canary"), status: 401, code: delegation.ConsentRequired, suspended: true},
		"401, accepted elsewhere":      {data: problem(401, "canary"), acceptedElsewhere: true, status: 401},
		"401, client refused too":      {data: problem(401, "canary"), first: problem(401, "canary"), status: 401, code: delegation.CredentialsRejected},
		"401, vendor down":             {data: problem(401, "canary"), first: problem(500, "canary"), status: 401},
		"401, oob is not taken":        {data: problem(401, "canary"), first: problem(400, "oauth_problem=parameter_rejected"), status: 401, code: delegation.ConsentRequired, suspended: true},
		"401, probe accepted":          {probe: true, data: problem(401, "canary"), status: 401},
		"401, probe refused":           {probe: true, data: problem(401, "canary"), me: problem(401, "canary"), acceptedElsewhere: true, status: 401, code: delegation.ConsentRequired, suspended: true},
		"refused in the body":          {data: problem(200, `{"error":{"code":9,"message":"canary"}}`), status: 200, code: delegation.ConsentRequired, suspended: true},
		"another code in the body":     {data: problem(200, `{"error":{"code":12,"message":"canary"}}`), status: 200},
		"in the body, probe as well":   {probe: true, data: problem(200, `{"error":{"code":9}}`), me: problem(200, `{"error":{"code":"8"}}`), status: 200, code: delegation.ConsentRequired, suspended: true},
		"in the body, probe accepted":  {probe: true, data: problem(200, `{"error":{"code":9}}`), status: 200},
		"401, probe down":              {probe: true, data: problem(401, "canary"), me: problem(502, "canary"), status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(c *Config) { c.APIRefused = &APIRefused{Member: "error.code", Values: []string{"8", "9"}} }
			if c.probe {
				change = withProbe
			}
			r := newSignedRig(t, change)
			r.connected()
			if c.acceptedElsewhere {
				r.send(r.authorize(delegated("/sleep")), r.outgoing("GET", "/sleep", "", ""))
			}
			r.vendor.set(func(v *oauth1Vendor) {
				v.answer = func(w http.ResponseWriter, req *http.Request) {
					answer := c.data
					switch req.URL.Path {
					case "/oauth/request_token":
						answer = c.first
					case "/api/me":
						answer = c.me
					}
					if answer == nil || !answer(w, req) {
						_, _ = io.WriteString(w, "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true")
					}
				}
			})
			status, found := r.refusedTwice()
			var code delegation.Code
			if found != nil {
				code = found.Code
			}
			if status != c.status || code != c.code || (len(r.grants.suspended) > 0) != c.suspended {
				t.Errorf("status %d, refusal %q, %d grants suspended", status, code, len(r.grants.suspended))
			}
		})
	}
}

// TestOAuth1Newer protects a person who has connected again meanwhile: their request is
// sent with the new token.
func TestOAuth1Newer(t *testing.T) {
	r := newSignedRig(t, nil)
	r.connected()
	r.grants.current.Tokens.Access = delegation.NewSecret("canary-revoked")
	r.grants.newer = signedGrant(r)
	if status, found := r.refusedTwice(); status != http.StatusOK || found != nil {
		t.Errorf("status %d, %v", status, found)
	}
}

// TestOAuth1ClientSecret protects the operator who replaces the client's secret: it is
// read again when a signature is refused, and one that cannot be read is not used.
func TestOAuth1ClientSecret(t *testing.T) {
	fresh, failed := canaryClient, error(nil)
	r := newSignedRig(t, func(c *Config) {
		c.ClientSecret = delegation.NewSecret("canary-old")
		c.LoadSecret = func() (delegation.Secret, error) { return delegation.NewSecret(fresh), failed }
	})
	r.connected()
	if status, found := r.refusedTwice(); status != http.StatusOK || found != nil {
		t.Errorf("status %d, %v", status, found)
	}
	failed = errors.New("the file is gone")
	if _, err := r.start(); err != nil {
		t.Error(err)
	}
	if r.logs.FilterMessageSnippet("client_secret cannot be read").Len() != 1 {
		t.Errorf("%v", r.logs.All())
	}
	fresh, failed = "canary-wrong", nil
	_, err := r.start()
	if code, text := r.code(err); code != delegation.CredentialsRejected {
		t.Error(text)
	}
}

// TestOAuth1Probe protects a suspended grant: only the vendor's own word resumes or keeps
// it.
func TestOAuth1Probe(t *testing.T) {
	r := newSignedRig(t, func(c *Config) { c.Account = &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: "user.id"} })
	g := signedGrant(r)
	g.Suspended = true
	for name, c := range map[string]struct {
		status int
		body   string
		ahead  time.Duration
		want   delegation.ProbeResult
	}{
		"accepted":        {200, "{}", 0, delegation.ProbeAccepted},
		"refused":         {401, "", 0, delegation.ProbeRefused},
		"revoked":         {403, "oauth_problem=token_revoked", 0, delegation.ProbeRefused},
		"the client":      {401, "oauth_problem=consumer_key_rejected", 0, delegation.ProbeUnknown},
		"forbidden":       {403, "", 0, delegation.ProbeUnknown},
		"down":            {500, "", 0, delegation.ProbeUnknown},
		"clock is behind": {200, "{}", 10 * time.Minute, delegation.ProbeAccepted},
	} {
		r.vendor.set(func(v *oauth1Vendor) {
			v.ahead = c.ahead
			v.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}
		})
		if got := r.hooks().ProbeGrant(t.Context(), g); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		r.Provider.sources[0].protocol.(*oauth1Protocol).clock.Correct(time.Now(), 0)
	}
	if got := newSignedRig(t, nil).hooks().ProbeGrant(t.Context(), g); got != delegation.ProbeAccepted {
		t.Errorf("without an address to ask, so that its next use tells: %d", got)
	}
}
