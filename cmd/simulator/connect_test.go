// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What it prints must open it: a one-time token comes out, and an access token
// for it.
func TestConnect(t *testing.T) {
	base, stop := runPlatform(t, connectCommand, "--client-secret", "s", "--accounts", "1", "--preset", "human_connect_v1", "--mode", "reusable")
	post := func(path, body string, answer any) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		_ = json.NewDecoder(res.Body).Decode(answer)
		return res.StatusCode
	}
	var handed struct{ HumanID, SessionToken string }
	if status := post("/_simulator/connect", `{"clientId":"simulated-app","clientUserId":"someone","userCode":"uc-9e3779b1-0001"}`, &handed); status != http.StatusOK || handed.SessionToken == "" {
		t.Fatalf("status %d, %+v", status, handed)
	}
	for range 2 { // the mode says so
		var answer struct{ HumanID, AccessToken, ClientUserID string }
		status := post("/v1/connect/tokens", `{"clientId":"simulated-app","clientSecret":"s","sessionToken":"`+handed.SessionToken+`"}`, &answer)
		if status != http.StatusOK || answer.HumanID != handed.HumanID || answer.ClientUserID != "someone" || answer.AccessToken == "" {
			t.Errorf("status %d, %+v", status, answer)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// What is wrong must be said before anything listens.
func TestConnectBadFlags(t *testing.T) {
	write := func(content string) string {
		file := filepath.Join(t.TempDir(), "accounts.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"accounts":           {[]string{"--accounts", "many"}, "neither a number"},
		"too many accounts":  {[]string{"--accounts", "-1"}, "between"},
		"account incomplete": {[]string{"--accounts", write(`[{"name":"Ann"}]`)}, "entry 1"},
		"account twice":      {[]string{"--accounts", write(`[{"userCode":"a"},{"userCode":"a"}]`)}, "entry 2"},
		"preset":             {[]string{"--preset", "x"}, "human_connect_v1"},
		"origin":             {[]string{"--origin", "app.example.org"}, "--origin"},
		"mode":               {[]string{"--mode", "x"}, "echo_another"},
		"stray word":         {[]string{"x"}, "no flag"},
		"address":            {[]string{"--listen", "nowhere"}, "address"},
		"unknown flag":       {[]string{"--nothing"}, "usage"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := connectCommand(ctx, tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}
