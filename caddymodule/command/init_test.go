// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/forwardauth" // what the Caddyfile uses

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// TestInit protects a newcomer's first minute: the key that is printed belongs
// to the one that is written, which nobody else can read, and the Caddyfile
// works as it stands.
func TestInit(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := delegateCommand(t, "init", "mydatahelps", "--folder", folder, "--project", "5f1d2c3b-0000-4000-8000-00000000a001", "--account", "MyDataHelps.1.x")
	if err != nil {
		t.Fatal(out, err)
	}
	file := filepath.Join(folder, "mydatahelps.pem")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	key, err := oauth.ParseKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "PRIVATE") {
		t.Error("the private key is printed")
	}
	block, _ := pem.Decode([]byte(out[strings.Index(out, "-----BEGIN"):]))
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("no public key in %q", out)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || !key.PublicKey.Equal(public.(*rsa.PublicKey)) {
		t.Errorf("another public key: %v", err)
	}

	config, err := os.ReadFile(filepath.Join(folder, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(config); string(formatted) != string(config) {
		t.Errorf("caddy fmt would write\n%s", formatted)
	}
	adapted, warnings, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt(config, map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 0 || !strings.Contains(string(adapted), `"{file.`+file+`}"`) {
		t.Errorf("%v %v\n%s", err, warnings, adapted)
	}
}

// TestInitOverwritesNothing protects a key that is in use, and from half a set
// of files.
func TestInitOverwritesNothing(t *testing.T) {
	for _, there := range []string{"mydatahelps.pem", "Caddyfile"} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, there), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := delegateCommand(t, "init", "mydatahelps", "--folder", folder); err == nil || !strings.Contains(err.Error(), there) {
			t.Errorf("%s: %q, %v", there, out, err)
		}
		left, err := os.ReadDir(folder)
		if err != nil || len(left) != 1 {
			t.Errorf("%s: left are %v", there, left)
		}
		if text, _ := os.ReadFile(filepath.Join(folder, there)); string(text) != "mine" {
			t.Errorf("%s was changed", there)
		}
	}
	for _, args := range [][]string{{"--folder", "/nonexistent/folder"}, {"--project", ""}, {"--account", "a b"}, {"more"}} {
		if out, err := delegateCommand(t, append([]string{"init", "mydatahelps"}, args...)...); err == nil {
			t.Errorf("%v: %q", args, out)
		}
	}
}
