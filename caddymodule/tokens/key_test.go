// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// testKeys is used for all, so that switching between accounts is tested too.
var testKeys keys

func entryOf(id delegation.Identity) *entry {
	return &entry{account: testKeys.account(&id), person: id.Person, participant: id.Participant, scopes: id.Scopes}
}

// sameIdentity compares two identities as a hit does.
func sameIdentity(a, b *delegation.Identity) bool { return entryOf(*a).matches(b) }

// fields sets each part of an identity.
var fields = []func(*delegation.Identity, string){
	func(i *delegation.Identity, s string) { i.Provider = s },
	func(i *delegation.Identity, s string) { i.Source = s },
	func(i *delegation.Identity, s string) { i.Issuer = s },
	func(i *delegation.Identity, s string) { i.Client = s },
	func(i *delegation.Identity, s string) { i.Key = s },
	func(i *delegation.Identity, s string) { i.Realm = s },
	func(i *delegation.Identity, s string) { i.Subject = s },
	func(i *delegation.Identity, s string) { i.Participant = s },
	func(i *delegation.Identity, s string) { i.Audience = s },
	func(i *delegation.Identity, s string) { i.Config = s },
	func(i *delegation.Identity, s string) { i.Scopes = []string{s} },
	func(i *delegation.Identity, s string) { i.Scopes = []string{"a", s} },
}

// TestT06_KeysDiffer protects against one person's token being served to
// another because two identities are written alike, as with CVE-2023-35941 and
// every key that is glued together with | or hashed with crc32.
func TestT06_KeysDiffer(t *testing.T) {
	parts := []string{"", "a", "b", "ab", "a|b", "a:b", "a\x00b", "\x00", "ä", "a ", "1", "\x00\x00\x00\x01a", strings.Repeat("long", 500)}
	seen := map[string]delegation.Identity{}
	for _, first := range fields {
		for _, second := range fields {
			for _, a := range parts {
				for _, b := range parts {
					var id delegation.Identity
					first(&id, a)
					second(&id, b)
					k := testKeys.identityKey(&id)
					if other, ok := seen[k]; ok && !sameIdentity(&id, &other) {
						t.Fatalf("%+v and %+v share a key", id, other)
					}
					seen[k] = id
				}
			}
		}
	}
	if len(seen) < 1000 {
		t.Fatalf("only %d identities were compared", len(seen))
	}
}

// TestT06_EveryFieldMatters protects against a part that is forgotten in the
// key or in the comparison: a change of any of them needs a token of its own.
func TestT06_EveryFieldMatters(t *testing.T) {
	for n, change := range fields {
		_, i := start(t, Options{}, time.Hour)
		i.want(t, alice, false, "")
		other := alice
		change(&other, "other")
		i.want(t, other, false, "")
		i.want(t, alice, true, "")
		i.want(t, other, true, "")
		if testKeys.identityKey(&alice) == testKeys.identityKey(&other) || sameIdentity(&alice, &other) {
			t.Errorf("field %d makes no difference", n)
		}
	}
}

// TestT06_HitIsVerified protects against a collision of keys: the tuple decides.
func TestT06_HitIsVerified(t *testing.T) {
	e, i := start(t, Options{}, time.Hour)
	now := time.Now()
	wrong := entryOf(person("bob"))
	wrong.token = &delegation.Token{Minted: now, Expires: now.Add(time.Hour)}
	e.entries.Set(alice.Person, testKeys.identityKey(&alice), wrong, time.Hour, false)
	i.want(t, alice, false, "")
}

// FuzzKey looks for two identities that share a key: the same bytes, cut into
// parts at other places.
func FuzzKey(f *testing.F) {
	f.Add("a|b", "c", "", 1, 2)
	f.Add("a\x00\x00\x00\x01b", "", "ä", 0, 9)
	f.Fuzz(func(t *testing.T, a, b, c string, from, to int) {
		count := len(fields)
		from, to = (from%count+count)%count, (to%count+count)%count
		var x, y delegation.Identity
		fields[from](&x, a+b)
		fields[to](&x, c)
		fields[from](&y, a)
		fields[to](&y, b+c)
		if (testKeys.identityKey(&x) == testKeys.identityKey(&y)) != sameIdentity(&x, &y) {
			t.Errorf("%+v and %+v", x, y)
		}
		if again := x; testKeys.identityKey(&again) != testKeys.identityKey(&x) || !sameIdentity(&again, &x) {
			t.Error("a copy has another key")
		}
	})
}
