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

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/prf"
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

// TestParse protects against keys that are too weak, or of another use, and
// against a file whose rotation nobody could tell.
func TestParse(t *testing.T) {
	aes, hmac := aead.AES256GCMKeyTemplate(), prf.HMACSHA256PRFKeyTemplate()
	text := func(seal, name json.RawMessage) string {
		return fmt.Sprintf(`{"seal": %s, "name": %s}`, seal, name)
	}
	s, n := handle(t, 0, aes), handle(t, 0, hmac)
	disabled := strings.Replace(string(handle(t, 0, aes, aes)), "ENABLED", "DISABLED", 2)
	disabled = strings.Replace(disabled, "DISABLED", "ENABLED", 1)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"as tink writes it":      {text(s, n), nil},
		"line breaks around":     {"\n" + text(s, n) + "\r\n\n", nil},
		"staged":                 {text(handle(t, 0, aes, aes), handle(t, 0, hmac, hmac)), nil},
		"promoted":               {text(handle(t, 1, aes, aes), handle(t, 1, hmac, hmac)), nil},
		"empty":                  {"", errNotKeyset},
		"placeholder":            {"{file./x}", errNotKeyset},
		"pem":                    {"-----BEGIN PRIVATE KEY-----", errNotKeyset},
		"cut":                    {text(s, n)[:100], errNotKeyset},
		"more behind":            {text(s, n) + "{}", errNotKeyset},
		"one of tink":            {string(s), errNotKeyset},
		"only seal":              {fmt.Sprintf(`{"seal": %s}`, s), errNotKeyset},
		"null":                   {text(json.RawMessage("null"), n), errDamaged},
		"no keys":                {text(s, json.RawMessage("{}")), errDamaged},
		"key altered":            {strings.Replace(text(s, n), `"value":`, `"value":"AAAA","x":`, 1), errDamaged},
		"staged in one":          {text(handle(t, 0, aes, aes), handle(t, 1, hmac, hmac)), errDamaged},
		"two behind the primary": {text(handle(t, 0, aes, aes, aes), handle(t, 0, hmac, hmac, hmac)), errDamaged},
		"staged key disabled":    {text(json.RawMessage(disabled), handle(t, 0, hmac, hmac)), errDamaged},
		"the wrong way round":    {text(n, s), errOtherKind},
		"aes 128":                {text(handle(t, 0, aead.AES128GCMKeyTemplate()), n), errOtherKind},
		"aes without prefix":     {text(handle(t, 0, aead.AES256GCMNoPrefixKeyTemplate()), n), errOtherKind},
		"aes ctr":                {text(handle(t, 0, aead.AES256CTRHMACSHA256KeyTemplate()), n), errOtherKind},
		"weak old key":           {text(handle(t, 1, aead.AES128GCMKeyTemplate(), aes), n), errOtherKind},
		"cmac":                   {text(s, handle(t, 0, prf.AESCMACPRFKeyTemplate())), errOtherKind},
		"sha 512":                {text(s, handle(t, 0, prf.HMACSHA512PRFKeyTemplate())), errOtherKind},
		"mac":                    {text(s, handle(t, 0, mac.HMACSHA256Tag256KeyTemplate())), errOtherKind},
		"unknown kind":           {strings.Replace(text(s, n), "AesGcmKey", "NoSuchKey", 1), errOtherKind},
	} {
		k, err := Parse(c.text)
		if err != c.want || (k == nil) != (err != nil) { //nolint:errorlint // it must be this one and no wrapping, which could quote
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// FuzzParse protects the loading of a configuration from a file gone wrong,
// and the log from the file: no panic, and no error but the fixed ones. What
// parses seals, and survives being written.
func FuzzParse(f *testing.F) {
	k := generate(f)
	for range 4 {
		text, err := k.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		next := k.Stage
		if k.Staged() {
			next = k.Promote
		}
		if err := next(); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(`{"seal":null,"name":{}}`)
	f.Add(fmt.Sprintf(`{"seal":%s,"name":%[1]s}`, handle(f, 0, prf.AESCMACPRFKeyTemplate(), aead.AES128CTRHMACSHA256KeyTemplate())))
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(text)
		if err != nil {
			if !slices.Contains([]error{errNotKeyset, errDamaged, errOtherKind}, err) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		other := load(t, k)
		if got, err := other.Open(seal(t, k, "x"), []byte("row")); err != nil || string(got) != "x" {
			t.Fatalf("opened %q, %v", got, err)
		}
		if other.Fingerprint() != k.Fingerprint() || other.Staged() != k.Staged() {
			t.Fatal("writing it made another keyset of it")
		}
	})
}
