// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

const host = "mydatahelps.example"

// played runs a platform at https://host, a name that only the client maps to
// this machine, as vendor's code with a fixed address is run against it.
func played(t *testing.T, command func(context.Context, []string, io.Writer, io.Writer) error, args ...string) *http.Client {
	t.Helper()
	free, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	address, dir := net.JoinHostPort("127.0.0.1", strconv.Itoa(free)), t.TempDir()
	cert := filepath.Join(dir, "cert.pem")
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := command(ctx, append([]string{
			"--listen", address, "--public-url", "https://" + host + "/", "--tls-cert", cert, "--tls-key", filepath.Join(dir, "key.pem"),
		}, args...), w, io.Discard)
		_ = w.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	lines := bufio.NewScanner(r)
	if !lines.Scan() || !strings.Contains(lines.Text(), "https://"+host) {
		t.Fatalf("it says %q", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info, err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask sends a request with a form or JSON and returns the answer as text.
func ask(t *testing.T, client *http.Client, method, path, bearer, contentType, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", bearer)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

const form = "application/x-www-form-urlencoded"

// TestK7_VendorCodeWithAFixedAddress protects who runs the vendor's examples: at
// their https address the audience fits, and every link is of that address.
func TestK7_VendorCodeWithAFixedAddress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "account.pem")
	client := played(t, myDataHelps, "--private-key-out", file)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: readPrivateKey(t, file)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := func(audience string, more url.Values) (int, string) {
		assertion, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": "MyDataHelps.Simulator.App", "sub": "MyDataHelps.Simulator.App", "aud": audience, "exp": time.Now().Add(time.Minute).Unix(), "jti": audience,
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		if more == nil {
			more = url.Values{
				"grant_type": {"client_credentials"}, "scope": {"api"}, "client_assertion": {assertion},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			}
		}
		status, body := ask(t, client, http.MethodPost, "/identityserver/connect/token", "", form, more.Encode())
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		_ = json.Unmarshal([]byte(body), &answer)
		return status, answer.AccessToken
	}
	if status, _ := token("http://"+host+"/identityserver/connect/token", nil); status != http.StatusBadRequest {
		t.Errorf("the audience with http: %d", status)
	}
	status, service := token("https://"+host+"/identityserver/connect/token", nil)
	if status != http.StatusOK {
		t.Fatalf("the audience with https: %d", status)
	}
	_, list := ask(t, client, http.MethodGet, "/api/v1/administration/projects/5e1f0000-0000-4000-8000-000000000001/participants", "Bearer "+service, "", "")
	var people struct{ Participants []struct{ ID string } }
	if err := json.Unmarshal([]byte(list), &people); err != nil || len(people.Participants) == 0 {
		t.Fatalf("%v: %s", err, list)
	}
	_, own := token("", url.Values{
		"grant_type": {"delegated_participant"}, "scope": {"api ExternalAccounts:read ExternalAccounts:connect File:read File:write"}, "token": {service},
		"participant_id": {people.Participants[0].ID}, "client_id": {"MyDataHelps.DelegatedParticipant"}, "client_secret": {"secret"},
	})
	for path, method := range map[string]string{
		"externalaccountproviders": http.MethodGet, "externalaccountproviders/564/connect": http.MethodPost, "files?category=a&fileName=b": http.MethodPost,
	} {
		status, body := ask(t, client, method, "/api/v1/delegated/"+path, "Bearer "+own, "", "")
		if status != http.StatusOK || !strings.Contains(body, `"https://`+host+"/") || strings.Contains(body, "http://") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestK7_MydexAtAnHTTPSAddress protects the same of Mydex's links.
func TestK7_MydexAtAnHTTPSAddress(t *testing.T) {
	client := played(t, mydexCommand)
	status, body := ask(t, client, http.MethodPost, "/oauth2/token", "Basic NWUxZjAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDBjMTFlOnNpbXVsYXRlZC1jbGllbnQtc2VjcmV0", form, "grant_type=client_credentials&scope=mydex%3Apdx")
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	setup := `{"connection_nid":"45678","connection_token_hash":"` + mydex.Hash("simulated-connection-token") + `","return_to":"https://app.example.org/"}`
	status, body = ask(t, client, http.MethodPost, "/ftc/setup", "Bearer "+answer.AccessToken, "application/json", setup)
	if status != http.StatusCreated || !strings.Contains(body, `"url":"https://`+host+`/ftc/begin/`) {
		t.Errorf("%d %.200s", status, body)
	}
}

// TestK7_BadListenerFlags protects against a simulator that listens otherwise
// than it was told to.
func TestK7_BadListenerFlags(t *testing.T) {
	dir := t.TempDir()
	lonely := filepath.Join(dir, "cert.pem")
	if err := os.WriteFile(lonely, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"certificate alone": {[]string{"--tls-cert", lonely}, "go together"},
		"key alone":         {[]string{"--tls-key", lonely}, "go together"},
		"one is missing":    {[]string{"--tls-cert", lonely, "--tls-key", filepath.Join(dir, "none")}, "--tls-cert"},
		"nowhere to write":  {[]string{"--tls-cert", filepath.Join(dir, "x", "a"), "--tls-key", filepath.Join(dir, "x", "b")}, "--tls-cert"},
		"no URL":            {[]string{"--public-url", "mydatahelps.org"}, "--public-url"},
		"another scheme":    {[]string{"--public-url", "ftp://mydatahelps.org"}, "--public-url"},
		"with a path":       {[]string{"--public-url", "https://mydatahelps.org/api"}, "--public-url"},
		"with a query":      {[]string{"--public-url", "https://mydatahelps.org?x"}, "--public-url"},
		"with a user":       {[]string{"--public-url", "https://a@mydatahelps.org"}, "--public-url"},
	} {
		for platform, command := range map[string]func(context.Context, []string, io.Writer, io.Writer) error{"mydatahelps": myDataHelps, "mydex": mydexCommand} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			args := append([]string{"--listen", "127.0.0.1:0"}, tt.args...)
			if platform == "mydatahelps" {
				args = append(args, "--private-key-out", filepath.Join(t.TempDir(), "account.pem"))
			}
			if err := command(ctx, args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: %v, want an error with %q", platform, name, err, tt.want)
			}
		}
	}
}
