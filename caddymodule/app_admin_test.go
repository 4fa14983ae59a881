// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// readPurge decodes and validates the body of a purge.
func readPurge(body io.Reader) (*purgeRequest, error) {
	request, err := decodeAdminRequest[purgeRequest](body, purgeFields)
	if err != nil {
		return nil, err
	}
	return request, request.validate()
}

// TestReadPurge protects from a purge of everybody that was meant for one, and
// from one that silently does nothing.
func TestReadPurge(t *testing.T) {
	for body, want := range map[string]delegation.Selection{
		"":                    {},
		" {} ":                {},
		`{"realm":"r"}`:       {Realm: "r"},
		`{"subject":"s"}`:     {Subject: "s"},
		`{"participant":"p"}`: {Participant: "p"},
		`{"provider":"mdh"}`:  {},
		`{"release":false}`:   {},
		`{"subject":"null"}`:  {Subject: "null"},
		`{"realm":"r","subject":"s","release":true}`:  {Realm: "r", Subject: "s"},
		`{"realm":"r","subject":"s","sessions":true}`: {Realm: "r", Subject: "s"},
		`{"sessions":true}`:                           {},
	} {
		request, err := readPurge(strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		} else if got := request.selection(); got != want {
			t.Errorf("%s selects %+v, want %+v", body, got, want)
		}
	}
	large := `{"subject":"` + strings.Repeat("x", maxAdminBody) + `"}`
	for body, want := range map[string]string{
		`{"subject":""}`:                           "must not be empty",
		`{"subject":null}`:                         "must not be empty",
		`{"provider":""}`:                          "must not be empty",
		`{"participant":"CANARY","realm":"r"}`:     "one or the other",
		`{"participant":"CANARY","subject":"s"}`:   "one or the other",
		`{"release":true}`:                         "give realm and subject",
		`{"release":true,"subject":"CANARY"}`:      "give realm and subject",
		`{"release":true,"realm":"CANARY"}`:        "give realm and subject",
		`{"release":"yes"}`:                        "no JSON object",
		`{"sessions":true,"subject":"CANARY"}`:     "give realm and subject",
		`{"sessions":true,"realm":"CANARY"}`:       "give realm and subject",
		`{"sessions":true,"participant":"CANARY"}`: "give realm and subject",
		`{"sessions":true,"provider":"CANARY"}`:    "give realm and subject",
		`{"subjects":"CANARY"}`:                    "no JSON object",
		`{"CANARY":1}`:                             "no JSON object",
		`{"subject":7}`:                            "no JSON object",
		`null`:                                     "no JSON object",
		`[]`:                                       "no JSON object",
		`"CANARY"`:                                 "no JSON object",
		`{"subject":"CANARY"`:                      "no JSON object",
		`{"subject":"CANARY"}{}`:                   "there is more",
		`{"subject":"CANARY"} CANARY`:              "there is more",
		large:                                      "larger than 65536 bytes",
	} {
		w := httptest.NewRecorder()
		_, err := readPurge(http.MaxBytesReader(w, nopCloser{strings.NewReader(body)}, maxAdminBody))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%.60s: %v, want %q", body, err, want)
		}
	}
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

// FuzzReadPurge protects from a body that selects other than it says: what is
// accepted and is no empty object names what it selects by.
func FuzzReadPurge(f *testing.F) {
	f.Add([]byte(`{"provider":"p","realm":"r","subject":"s","release":true}`))
	f.Add([]byte(`{"participant":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := readPurge(bytes.NewReader(body))
		if err != nil {
			return
		}
		if request.selection() == (delegation.Selection{}) && (bytes.Contains(body, []byte(`"subject"`)) || bytes.Contains(body, []byte(`"participant"`))) {
			t.Errorf("%q selects everybody", body)
		}
	})
}

// TestOtherMethods protects from a purge by a link, and tells what is right.
func TestOtherMethods(t *testing.T) {
	for _, route := range (adminAPI{}).Routes() {
		reads := strings.HasSuffix(route.Pattern, "status") || strings.HasSuffix(route.Pattern, "refusals")
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead} {
			right := reads == (method == http.MethodGet) && (method == http.MethodGet || method == http.MethodPost)
			w := httptest.NewRecorder()
			err, _ := errors.AsType[caddy.APIError](route.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, route.Pattern, nil)))
			want := http.StatusMethodNotAllowed
			if right {
				want = http.StatusNotFound // nothing runs
			}
			if err.HTTPStatus != want || right == (w.Header().Get("Allow") != "") {
				t.Errorf("%s %s: %v, Allow %q; want %d", method, route.Pattern, err, w.Header().Get("Allow"), want)
			}
		}
	}
}

// TestStatusOfAnIssuerThatRejects protects operators: a provider that can get
// no tokens is not ready, and says why.
func TestStatusOfAnIssuerThatRejects(t *testing.T) {
	p, g := openTestProvider(t, "", zap.NewNop(), nil)
	if s := p.status(); !s.Ready || s.Reason != "" || s.PurgeScope != "machine" {
		t.Errorf("%+v; want it ready", s)
	}
	g.fail = delegation.Refuse(delegation.CredentialsRejected, nil)
	_ = g.get(t, "")
	p.state.tokens.SetShared(downSharedLevel{})
	if s := p.status(); s.Ready || s.Reason != delegation.CredentialsRejected || s.PurgeScope != "fleet" {
		t.Errorf("%+v; want it not ready", s)
	}
}

// TestIncompletePurge protects an operator from believing that every machine
// has purged: one provider whose others do not know is enough.
func TestIncompletePurge(t *testing.T) {
	alone, _ := openTestProvider(t, "", zap.NewNop(), nil)
	shared, _ := openTestProvider(t, "-shared", zap.NewNop(), nil)
	shared.state.tokens.SetShared(unreachableFleet{})
	app := &App{providers: map[string]*provider{"alone": alone, "shared": shared}}
	if got := app.purge(t.Context(), []string{"alone"}, new(purgeRequest)); !got.Complete || got.Code != "" {
		t.Errorf("%+v; want it complete", got)
	}
	got := app.purge(t.Context(), []string{"alone", "shared"}, new(purgeRequest))
	if got.Complete || got.Code != "purge_incomplete" || got.Message == "" || len(got.Purged) != 2 {
		t.Errorf("%+v; want it incomplete", got)
	}
}

// TestPurgeEndsSessions protects everybody after a mistake in the app's login:
// sessions end where the operator says so, and only then.
func TestPurgeEndsSessions(t *testing.T) {
	app := &App{revocations: session.NewRevocations(), realmNames: new(realmNames)}
	alice := &session.Session{Realm: "r", Subject: "alice", IssuedBefore: time.Now()}
	bob := &session.Session{Realm: "r", Subject: "bob", IssuedBefore: time.Now()}
	for _, step := range []struct {
		request    string
		alice, bob bool // ended
	}{
		{`{}`, false, false},
		{`{"realm":"r","subject":"alice"}`, false, false},
		{`{"realm":"r","subject":"alice","sessions":true}`, true, false},
		{`{"sessions":true}`, true, true},
	} {
		request, err := readPurge(strings.NewReader(step.request))
		if err != nil {
			t.Fatal(err)
		}
		if got := app.purge(t.Context(), nil, request); !got.Complete {
			t.Errorf("%s: %+v", step.request, got)
		}
		if a, b := app.revocations.Revoked(alice), app.revocations.Revoked(bob); a != step.alice || b != step.bob {
			t.Errorf("%s: alice's ended %t, bob's %t", step.request, a, b)
		}
	}
	if late := (&session.Session{Realm: "r", Subject: "bob", IssuedBefore: time.Now().Add(time.Second)}); app.revocations.Revoked(late) {
		t.Error("who signs in anew is signed out")
	}
}
