// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"slices"
	"strings"
	"testing"
)

// machine is one step of a rotation: the keyset of a machine that has loaded it.
type machine struct {
	*Keyset
	seals, opens string // numbers of the keys
}

// rotation takes a new keyset through six steps.
func rotation(t *testing.T) []machine {
	t.Helper()
	k := generate(t)
	files := []machine{{load(t, k), "1", "1"}}
	for _, want := range []struct{ seals, opens string }{
		{"1", "12"}, {"2", "12"}, {"2", "123"}, {"3", "123"}, {"3", "234"}, {"4", "234"},
	} {
		next := k.Stage
		if k.Staged() {
			next = k.Promote
		}
		if err := next(); err != nil {
			t.Fatal(err)
		}
		files = append(files, machine{load(t, k), want.seals, want.opens})
	}
	return files
}

// TestRotationOpens protects what was sealed through a whole rotation: by the
// table of the package's documentation, each file opens what each other
// sealed, until the key is dropped.
func TestRotationOpens(t *testing.T) {
	files := rotation(t)
	for i, from := range files {
		if staged := i%2 == 1; from.Staged() != staged {
			t.Errorf("file %d: staged %t, want %t", i, from.Staged(), staged)
		}
		sealed := seal(t, from.Keyset, "token")
		for j, to := range files {
			want := strings.Contains(to.opens, from.seals)
			got, err := to.Open(sealed, []byte("row"))
			if (err == nil) != want || (want && string(got) != "token") {
				t.Errorf("sealed with file %d (key %s), with file %d (keys %s) it opened: %t, want %t", i, from.seals, j, to.opens, err == nil, want)
			}
			if neighbours := max(i-j, j-i) <= 1; neighbours && !want {
				t.Errorf("files %d and %d do not read each other", i, j)
			}
		}
	}
}

// TestRotationNames protects a purge from going unread by a machine with the
// file before or after: what one writes by Name the other finds among Names.
// Staging changes no name; promoting does.
func TestRotationNames(t *testing.T) {
	files := rotation(t)
	for i, from := range files {
		all := from.Names("a", "b")
		if len(all) != len(from.opens) || all[0] != from.Name("a", "b") {
			t.Errorf("file %d: %d names, want %d and the primary's first", i, len(all), len(from.opens))
		}
		if len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
			t.Errorf("file %d: a name is there twice", i)
		}
		for j, to := range files {
			if got, want := slices.Contains(to.Names("a", "b"), all[0]), strings.Contains(to.opens, from.seals); got != want {
				t.Errorf("named with file %d, with file %d it was found: %t, want %t", i, j, got, want)
			}
			if got, want := to.Name("a", "b") == all[0], to.seals == from.seals; got != want {
				t.Errorf("files %d and %d give one name: %t, want %t", i, j, got, want)
			}
		}
	}
}

// TestRotationOrder protects the fleet from a step left out: a key is never
// promoted before it was staged, nor a second one staged beside it, and a
// refused step changes nothing.
func TestRotationOrder(t *testing.T) {
	k := generate(t)
	before := k.Fingerprint()
	if err := k.Promote(); err == nil {
		t.Error("promoted with no key staged")
	}
	if k.Fingerprint() != before {
		t.Error("the refused step changed the keys")
	}
	if err := k.Stage(); err != nil {
		t.Fatal(err)
	}
	before = k.Fingerprint()
	if err := k.Stage(); err == nil {
		t.Error("staged twice")
	}
	if k.Fingerprint() != before || !k.Staged() {
		t.Error("the refused step changed the keys")
	}
}

// TestNamesTwice protects callers that count: a key that stands in the file
// twice, by hand, gives one name.
func TestNamesTwice(t *testing.T) {
	k := generate(t)
	k.prfs = append(k.prfs, k.prfs[0])
	if got := k.Names("a"); len(got) != 1 {
		t.Errorf("%d names, want 1", len(got))
	}
}
