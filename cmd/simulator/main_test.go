// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

func run(t *testing.T, args ...string) (base string, stop func() error) {
	t.Helper()
	return runPlatform(t, myDataHelps, args...)
}

// runPlatform starts a command and returns its base URL and what stops it.
func runPlatform(t *testing.T, command func(context.Context, []string, io.Writer, io.Writer) error, args ...string) (base string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := command(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), w, io.Discard)
		_ = w.CloseWithError(err)
		done <- err
	}()
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		cancel()
		t.Fatalf("the command ended: %v", <-done)
	}
	_, base, _ = strings.Cut(lines.Text(), "http://")
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return "http://" + base, func() error {
		cancel()
		return <-done
	}
}

func mint(t *testing.T, base string, key *rsa.PrivateKey) int {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const account = "MyDataHelps.Simulator.App"
	assertion, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": account, "sub": account, "aud": base + "/identityserver/connect/token", "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text(),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"api"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/identityserver/connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func readPrivateKey(t *testing.T, file string) *rsa.PrivateKey {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The key it writes must open it, stay private, and survive a restart.
func TestPrivateKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "account.pem")
	base, stop := run(t, "--private-key-out", file)
	key := readPrivateKey(t, file)
	if status := mint(t, base, key); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	base, stop = run(t, "--private-key-out", file)
	if status := mint(t, base, key); status != http.StatusOK {
		t.Errorf("after a restart: status %d", status)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// Registered public keys, in both forms in which tools write them.
func TestPublicKeys(t *testing.T) {
	dir := t.TempDir()
	keys, args := make([]*rsa.PrivateKey, 0, 2), make([]string, 0, 4)
	for i, name := range []string{"PUBLIC KEY", "RSA PUBLIC KEY"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der := x509.MarshalPKCS1PublicKey(&key.PublicKey)
		if i == 0 {
			if der, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "_"))
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, args = append(keys, key), append(args, "--public-key", file)
	}
	base, stop := run(t, args...)
	for i, key := range keys {
		if status := mint(t, base, key); status != http.StatusOK {
			t.Errorf("key %d: status %d", i, status)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// What is wrong must be said before anything listens.
func TestBadFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key := filepath.Join(dir, "key.pem")
	good := []string{"--private-key-out", key}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no key":                 {nil, "--private-key-out"},
		"key file missing":       {[]string{"--public-key", filepath.Join(dir, "none")}, "no such file"},
		"key file is no PEM":     {[]string{"--public-key", write("x", "x")}, "no PEM"},
		"public key is another":  {[]string{"--public-key", write("y", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")}, "CERTIFICATE"},
		"private key is another": {[]string{"--private-key-out", write("z", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")}, "PRIVATE KEY"},
		"participants":           {append(good, "--participants", "many"), "neither a number"},
		"too many participants":  {append(good, "--participants", "-1"), "between"},
		"participants no list":   {append(good, "--participants", write("p", "{}")), "JSON list"},
		"participant incomplete": {append(good, "--participants", write("q", `[{"id":"x"}]`)), "entry 1"},
		"stray word":             {append(good, "x"), "no flag"},
		"address":                {append(good, "--listen", "nowhere"), "address"},
		"unknown flag":           {[]string{"--nothing"}, "usage"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := myDataHelps(ctx, tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}

// A project's own participants, as a file.
func TestParticipantsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "participants.json")
	if err := os.WriteFile(file, []byte(`[{"id":"aaaaaaaa-1111-4111-8111-111111111111","participantIdentifier":"alice","customFields":{"a":"b"}},{"participantIdentifier":"bob"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	ps, err := people("participants", file, 0, simulator.SampleParticipants)
	if err != nil || len(ps) != 2 || ps[0].Identifier != "alice" || ps[0].CustomFields["a"] != "b" || ps[1].ID != "" {
		t.Errorf("%+v, %v", ps, err)
	}
}
