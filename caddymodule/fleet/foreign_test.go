// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestForeignValues protects from whoever can write to Redis, and from a
// machine with other keys: what is altered, moved from another place or sealed
// by another keyset is as if it were not there, and is replaced.
func TestForeignValues(t *testing.T) {
	alice, bob := person("alice"), person("bob")
	for name, spoil := range map[string]func(s *server, token, other string){
		"altered": func(s *server, token, _ string) {
			v := []byte(s.do("GET", token))
			v[len(v)-1] ^= 1
			s.do("SET", token, v)
		},
		"cut":     func(s *server, token, _ string) { s.do("SET", token, "x") },
		"moved":   func(s *server, token, other string) { s.do("COPY", other, token, "REPLACE") },
		"swapped": func(s *server, token, other string) { s.do("RENAME", other, token) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			i, a, b := pair(t, s, Options{})
			a.get(t, alice)
			token := s.keys("token")[0]
			a.get(t, bob)
			other := slices.DeleteFunc(s.keys("token"), func(k string) bool { return k == token })[0]
			spoil(s, token, other)
			if got := b.get(t, alice); got != "canary-token-3" {
				t.Errorf("alice got %s", got)
			}
			if n := i.mints.Load(); n != 3 || !b.fleet.Up() {
				t.Errorf("%d mints, up %t", n, b.fleet.Up())
			}
		})
	}
	t.Run("other keyset", func(t *testing.T) {
		s := serve(t)
		i := new(issuer)
		a := boot(t, i, Options{URL: s.url(), Sealer: newKeyset(t)})
		b := boot(t, i, Options{URL: s.url(), Sealer: newKeyset(t)})
		if a.get(t, alice) == b.get(t, alice) {
			t.Error("machines with different keys share a token")
		}
	})
}

// TestNothingInClear protects people from whoever can read Redis: neither
// keys nor values hold a name, a scope or a token.
func TestNothingInClear(t *testing.T) {
	s := serve(t)
	_, a, b := pair(t, s, Options{})
	id := person("canary-alice")
	a.get(t, id)
	b.purge(t, delegation.Selection{Participant: id.Participant})
	<-a.dropped
	a.get(t, id)
	id.Subject = "canary-bob"
	a.get(t, id)
	// All of it as Redis would write it to a disk, and what it logs of slow commands.
	s.do("CONFIG", "SET", "rdbcompression", "no")
	s.do("SAVE")
	dump, err := os.ReadFile(filepath.Join(s.dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	kept := s.keys("*")
	if len(kept) < 5 || !bytes.Contains(dump, []byte(kept[0])) {
		t.Fatalf("the dump has not what is looked for: %q", kept)
	}
	if bytes.Contains(dump, []byte("canary")) || bytes.Contains(dump, []byte(base64.StdEncoding.EncodeToString([]byte("canary"))[:8])) {
		t.Errorf("found in clear: %q", dump)
	}
	if strings.Contains(strings.Join(kept, " "), "canary") {
		t.Errorf("found in the keys: %q", kept)
	}
}

// TestExpiredIsNotRevived protects from whoever can write to Redis: a token
// that is kept there for longer than it lives is not used.
func TestExpiredIsNotRevived(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{})
	expires := time.Now().Add(300 * time.Millisecond)
	if _, err := a.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) {
		tok := i.fresh()
		tok.Expires = expires
		return tok, nil
	}); err != nil {
		t.Fatal(err)
	}
	s.do("PERSIST", s.keys("token")[0])
	until(t, 5*time.Second, "it has expired", func() bool { return time.Now().After(expires) })
	token, err := b.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil })
	if err != nil || token.Access.Reveal() != "canary-token-2" {
		t.Errorf("an expired token was used, %v", err)
	}
}
