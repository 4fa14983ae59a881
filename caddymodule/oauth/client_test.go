// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// What is sent is what the platform documents: once, in the form, with no
// second way of authentication beside it.
func TestTokenRequest(t *testing.T) {
	i := &testIssuer{status: 200, body: goodResponse("")}
	token, err := i.requestToken(t)
	if err != nil {
		t.Fatal(err)
	}
	if token.Access.Reveal() != "0123456789abcdef0123456789abcdef" || token.Lifetime() != time.Hour || token.Scope != "Participant:read SurveyAnswers:read" {
		t.Errorf("token of %v for %q", token.Lifetime(), token.Scope)
	}
	want := url.Values{
		"grant_type": {"delegated_participant"}, "client_id": {"client"}, "client_secret": {plantedSecret},
		"scope": {"Participant:read SurveyAnswers:read"}, "participant_id": {"planted-person"}, "token": {plantedSecret},
	}
	if i.form.Encode() != want.Encode() {
		t.Errorf("form %v", i.form)
	}
	if i.calls != 1 || i.request.Method != http.MethodPost || i.request.URL.String() != "https://issuer.example/token" {
		t.Errorf("%d calls, last %s %s", i.calls, i.request.Method, i.request.URL)
	}
	if h := i.request.Header; h.Get("Authorization") != "" || h.Get("Accept") != "application/json" || h.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("header %v", h)
	}
}

// A client that authenticates by assertion or HTTP Basic must not show its
// secret in the form as well.
func TestTokenRequestAuthStyles(t *testing.T) {
	i := &testIssuer{status: 200, body: goodResponse("")}
	c := &Client{URL: "https://issuer.example/token", HTTP: &http.Client{Transport: i}}
	if _, err := c.Token(t.Context(), Request{Scopes: []string{"api"}, Params: url.Values{"client_assertion": {"x"}}}); err != nil {
		t.Fatal(err)
	}
	if i.form.Encode() != "client_assertion=x&grant_type=client_credentials&scope=api" {
		t.Errorf("form %v", i.form)
	}
	if _, err := c.Token(t.Context(), Request{ClientID: "client", ClientSecret: delegation.NewSecret(plantedSecret), AuthStyle: oauth2.AuthStyleInHeader}); err != nil {
		t.Fatal(err)
	}
	if id, secret, ok := i.request.BasicAuth(); !ok || id != "client" || secret != plantedSecret || i.form.Has("client_secret") {
		t.Errorf("basic %v %q, form %v", ok, id, i.form)
	}
}

// The lifetime counts from the moment of the answer, not of the question.
func TestTokenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{status: 200, body: goodResponse(""), took: 3 * time.Second}
		begin := time.Now()
		token, err := i.requestToken(t)
		if err != nil {
			t.Fatal(err)
		}
		if token.Minted.Sub(begin) != 3*time.Second || token.Expires.Sub(token.Minted) != time.Hour {
			t.Errorf("minted after %v for %v", token.Minted.Sub(begin), token.Lifetime())
		}
	})
}

// Over a real connection: a gzip bomb is counted unpacked, and a redirect with
// 307 does not take the form to another address.
func TestTokenOverHTTP(t *testing.T) {
	var elsewhere int
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bomb", func(w http.ResponseWriter, _ *http.Request) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, `{"access_token":"`+strings.Repeat("a", 8<<20)+`"}`)
		_ = z.Close()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	mux.HandleFunc("POST /gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, goodResponse(""))
		_ = z.Close()
	})
	mux.HandleFunc("POST /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { elsewhere++ })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	ask := func(path string) error {
		c := &Client{URL: srv.URL + path, HTTP: new(delegation.HTTP).Client()}
		_, err := c.Token(t.Context(), Request{ClientSecret: delegation.NewSecret(plantedSecret)})
		return err
	}
	if err := ask("/gzip"); err != nil {
		t.Errorf("a compressed answer: %v", err)
	}
	if e := asError(t, ask("/bomb")); !strings.Contains(e.Error(), "too large") {
		t.Errorf("bomb: %v", e)
	}
	if e := asError(t, ask("/away")); e.Status != http.StatusTemporaryRedirect || elsewhere != 0 || !strings.Contains(e.Error(), "redirects") {
		t.Errorf("redirect: %v, followed %d times", e, elsewhere)
	}
	srv.Close()
	if e := asError(t, ask("/gzip")); e.Kind != Unavailable || !strings.Contains(e.Error(), "does not accept connections") {
		t.Errorf("closed: %v", e)
	}
}

// Who is told that the certificate is the trouble can mend it.
func TestUnreachableCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c := &Client{URL: srv.URL, HTTP: new(delegation.HTTP).Client()}
	_, err := c.Token(t.Context(), Request{})
	if e := asError(t, err); !strings.Contains(e.Error(), "ca_file") {
		t.Errorf("%v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Token(ctx, Request{})
	if e := asError(t, err); !strings.Contains(e.Error(), "cancelled") {
		t.Errorf("%v", e)
	}
}
