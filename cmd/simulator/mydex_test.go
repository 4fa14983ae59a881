// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// What it prints must open it: a token comes out, for every feature block.
func TestMydex(t *testing.T) {
	base, stop := runPlatform(t, mydexCommand, "--client-secret", "a/b", "--members", "1")
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"mydex:pdx get:/timeline"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("5e1f0000-0000-4000-8000-00000000c11e", "a%2Fb")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// What is wrong must be said before anything listens.
func TestMydexBadFlags(t *testing.T) {
	write := func(content string) string {
		file := filepath.Join(t.TempDir(), "members.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"members":           {[]string{"--members", "many"}, "neither a number"},
		"too many members":  {[]string{"--members", "-1"}, "between"},
		"members no list":   {[]string{"--members", write("{}")}, "JSON list"},
		"member incomplete": {[]string{"--members", write(`[{"uid":"x","mydexid":"a"}]`)}, "entry 1"},
		"stray word":        {[]string{"x"}, "no flag"},
		"address":           {[]string{"--listen", "nowhere"}, "address"},
		"unknown flag":      {[]string{"--nothing"}, "usage"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := mydexCommand(ctx, tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
	members, err := people("members", write(`[{"uid":"7","mydexid":"Ann7"}]`), 0, mydex.SampleMembers)
	if err != nil || len(members) != 1 || members[0].MydexID != "Ann7" {
		t.Errorf("%+v, %v", members, err)
	}
}
