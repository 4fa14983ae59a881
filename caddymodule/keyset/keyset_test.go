// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func generate(t testing.TB) *Keyset {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// load is what another machine makes of the file.
func load(t testing.TB, k *Keyset) *Keyset {
	t.Helper()
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func seal(t testing.TB, k *Keyset, plaintext string) []byte {
	t.Helper()
	sealed, err := k.Seal([]byte(plaintext), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// TestSealOpen protects what is sealed: every machine with the file opens it,
// and nobody else, nobody elsewhere, and not after it was altered.
func TestSealOpen(t *testing.T) {
	k := generate(t)
	for _, plaintext := range []string{"", "t", strings.Repeat("token", 1000)} {
		sealed := seal(t, k, plaintext)
		if len(sealed) != len(plaintext)+33 {
			t.Errorf("%d bytes became %d", len(plaintext), len(sealed))
		}
		if len(plaintext) > 1 && bytes.Contains(sealed, []byte(plaintext)) {
			t.Error("the plaintext can be read")
		}
		if bytes.Equal(sealed, seal(t, k, plaintext)) {
			t.Error("sealed twice, it was the same")
		}
		if got, err := load(t, k).Open(sealed, []byte("row")); err != nil || string(got) != plaintext {
			t.Errorf("opened %q, %v", got, err)
		}
		for _, associated := range []string{"", "ro", "row ", "Row"} {
			if got, err := k.Open(sealed, []byte(associated)); err == nil || got != nil {
				t.Errorf("opened for %q", associated)
			}
		}
		if got, err := generate(t).Open(sealed, []byte("row")); err == nil || got != nil {
			t.Error("opened by another keyset")
		}
	}
	sealed := seal(t, k, "t")
	for i := range sealed {
		if _, err := k.Open(sealed[:i], []byte("row")); err == nil {
			t.Errorf("opened when cut to %d bytes", i)
		}
		for bit := range 8 {
			altered := bytes.Clone(sealed)
			altered[i] ^= 1 << bit
			if _, err := k.Open(altered, []byte("row")); err == nil {
				t.Errorf("opened with bit %d of byte %d turned", bit, i)
			}
		}
	}
}

// TestName protects people from being taken for each other, and from being
// recognised: a name is one for exactly these parts, and takes the key.
func TestName(t *testing.T) {
	k := generate(t)
	seen := make(map[string][]string)
	for _, parts := range [][]string{
		{},
		{""},
		{"", ""},
		{"a"},
		{"a", ""},
		{"", "a"},
		{"ab"},
		{"a", "b"},
		{"ab", ""},
		{"b", "a"},
		{"A", "b"},
		{"a\x00b"},
		{"a", "\x00b"},
		{"\x00\x00\x00\x00\x00\x00\x00\x01a"},
		{"é"},
		{"e\u0301"},
		{"\xff"},
	} {
		name := k.Name(parts...)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(name) {
			t.Errorf("%q: %q", parts, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q have one name", parts, other)
		}
		seen[name] = parts
		if got := load(t, k).Name(parts...); got != name {
			t.Errorf("%q: %q on another machine, %q here", parts, got, name)
		}
		if got := k.Names(parts...); !slices.Equal(got, []string{name}) {
			t.Errorf("%q: names %q", parts, got)
		}
		if generate(t).Name(parts...) == name {
			t.Errorf("%q: another keyset gave the same name", parts)
		}
	}
}

// keys are the raw keys of k.
func keys(t testing.TB, k *Keyset) (raw [][]byte) {
	t.Helper()
	token := insecuresecretdataaccess.Token{}
	for _, e := range entries(k.seal) {
		raw = append(raw, e.Key().(*aesgcm.Key).KeyBytes().Data(token))
	}
	for _, e := range entries(k.name) {
		raw = append(raw, e.Key().(*hmacprf.Key).KeyBytes().Data(token))
	}
	return raw
}

// TestKeysetDoesNotPrint protects the keys from whoever prints a value that
// holds a keyset, exported field or not, and from errors and names.
func TestKeysetDoesNotPrint(t *testing.T) {
	k := generate(t)
	if err := k.Stage(); err != nil {
		t.Fatal(err)
	}
	type outer struct {
		Public  Keyset
		private Keyset
		Pointer *Keyset
		hidden  *Keyset
	}
	o := outer{*k, *k, k, k}
	var out bytes.Buffer
	for _, v := range []any{k, *k, o, &o, []*Keyset{k}, map[string]Keyset{"k": *k}, k.seal, k.name, struct{ h any }{k.name}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
		zap.New(core).Info("x", zap.Any("v", v), zap.Reflect("r", v))
	}
	_, err := k.Open([]byte("x"), nil)
	fmt.Fprintln(&out, err, k.Fingerprint(), k.Names("a", "b"))
	if !strings.Contains(out.String(), "REDACTED") {
		t.Error("nothing was printed")
	}
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	raw := keys(t, k)
	if len(raw) != 4 {
		t.Fatalf("%d keys, want 4", len(raw))
	}
	for _, key := range raw {
		// A key begins anywhere in what Tink encodes, so each of the three ways
		// to write its middle in base64 counts.
		canaries := []string{string(key), hex.EncodeToString(key), strings.Trim(fmt.Sprintf("%d", key), "[]"), fmt.Sprintf("%#v", key)}
		for shift := range 3 {
			canaries = append(canaries, base64.RawStdEncoding.EncodeToString(key[shift:shift+27]), base64.RawURLEncoding.EncodeToString(key[shift:shift+27]))
		}
		for _, canary := range canaries {
			if strings.Contains(strings.ToLower(out.String()), strings.ToLower(canary)) {
				t.Errorf("a key was printed:\n%s", out.String())
			}
		}
		if !slices.ContainsFunc(canaries, func(c string) bool { return strings.Contains(string(text), c) }) {
			t.Error("not even Marshal told the key: the comparison is of no use")
		}
	}
}

// TestFingerprint protects what is pooled by the fingerprint from living on
// under other keys: every change shows, and nothing else does.
func TestFingerprint(t *testing.T) {
	k := generate(t)
	seen := map[string]bool{generate(t).Fingerprint(): true}
	note := func(k *Keyset) {
		t.Helper()
		if got := load(t, k).Fingerprint(); got != k.Fingerprint() {
			t.Errorf("%q on another machine, %q here", got, k.Fingerprint())
		}
		if seen[k.Fingerprint()] {
			t.Error("the fingerprint stayed")
		}
		seen[k.Fingerprint()] = true
	}
	note(k)
	for range 3 {
		if err := k.Stage(); err != nil {
			t.Fatal(err)
		}
		note(k)
		if err := k.Promote(); err != nil {
			t.Fatal(err)
		}
		note(k)
	}
	mixed, err := newFromHandles(generate(t).seal, k.name)
	if err != nil {
		t.Fatal(err)
	}
	note(mixed)
}

// handle makes a Tink keyset with a key of each kind, the one at primary first
// among them.
func handle(t testing.TB, primary int, kinds ...*tinkpb.KeyTemplate) json.RawMessage {
	t.Helper()
	m := keyset.NewManager()
	for i, kind := range kinds {
		id, err := m.Add(kind)
		if err != nil {
			t.Fatal(err)
		}
		if i == primary {
			if err := m.SetPrimary(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&out)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
