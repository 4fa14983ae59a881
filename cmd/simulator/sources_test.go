// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What it prints must open it: a person consents, and a token comes out.
func TestSources(t *testing.T) {
	base, stop := runPlatform(t, sourcesCommand, "--vendor", "withings", "--client-secret", "s")
	post := func(path, kind, body string, answer any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
			t.Fatal(err)
		}
	}
	page := base + "/oauth2_user/authorize2?" + url.Values{
		"response_type": {"code"}, "client_id": {"simulated-app"}, "redirect_uri": {"http://127.0.0.1:8080/return"}, "state": {"s"}, "scope": {"user.metrics"},
	}.Encode()
	asked, err := json.Marshal(map[string]string{"url": page})
	if err != nil {
		t.Fatal(err)
	}
	var led struct{ Location string }
	post("/_simulator/decide", "application/json", string(asked), &led)
	u, err := url.Parse(led.Location)
	if err != nil {
		t.Fatal(err)
	}
	var tokens struct {
		Status int
		Body   struct {
			Access string `json:"access_token"`
		}
	}
	post("/v2/oauth2", "application/x-www-form-urlencoded", url.Values{
		"action": {"requesttoken"}, "grant_type": {"authorization_code"}, "client_id": {"simulated-app"}, "client_secret": {"s"},
		"code": {u.Query().Get("code")}, "redirect_uri": {"http://127.0.0.1:8080/return"},
	}.Encode(), &tokens)
	if tokens.Status != 0 || tokens.Body.Access == "" {
		t.Errorf("tokens: %+v", tokens)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// Several vendors are listed in order, each at an address of its own.
func TestSourcesSeveral(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := sourcesCommand(ctx, []string{"--listen", "127.0.0.1:0"}, w, io.Discard)
		_ = w.CloseWithError(err)
		done <- err
	}()
	var names, bases []string
	lines := bufio.NewScanner(r)
	for len(names) < 2 && lines.Scan() {
		if name, base, ok := strings.Cut(lines.Text(), " simulator: "); ok {
			names, bases = append(names, name), append(bases, base)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	for _, base := range bases {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/_simulator/settings", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if strings.Join(names, ", ") != "City lab, Old lab" {
		t.Errorf("vendors: %q", names)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// What is wrong must be said before anything listens.
func TestSourcesBadFlags(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"vendor":          {[]string{"--vendor", "x"}, "city_lab"},
		"accounts":        {[]string{"--accounts", "many"}, "neither a number"},
		"mode":            {[]string{"--mode", "x"}, "invalid_grant"},
		"redirect URI":    {[]string{"--redirect-uri", "/return"}, "--redirect-uri"},
		"keys":            {[]string{"--jwks", keys}, "--jwks"},
		"one public URL":  {[]string{"--public-url", "https://lab.example", "--vendor", "polar", "--vendor", "oura"}, "--public-url"},
		"address":         {[]string{"--listen", "nowhere"}, "address"},
		"stray word":      {[]string{"x"}, "no flag"},
		"unknown flag":    {[]string{"--nothing"}, "usage"},
		"port":            {[]string{"--listen", "127.0.0.1:99999"}, "port"},
		"accounts damage": {[]string{"--accounts", keys}, "JSON list"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := sourcesCommand(ctx, tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}
