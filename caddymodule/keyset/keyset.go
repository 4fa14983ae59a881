// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

const redacted = "REDACTED"

// The errors of Parse. They are fixed sentences because those of the decoders quote
// what they read, which here is a key.
var (
	errNotKeyset = errors.New("this is no keyset: make one with `caddy delegate keyset generate <file>`")
	errDamaged   = errors.New("the keyset is damaged: put back the file as `caddy delegate keyset` wrote it")
	errOtherKind = errors.New("the keyset has keys of another kind: seal takes AES256-GCM and name HMAC-SHA256, as `caddy delegate keyset generate <file>` makes them")
)

// errNotOpened is the same for an altered and for a foreign value: an attacker who
// tries values learns nothing from it.
var errNotOpened = errors.New("opening what was sealed: it was altered, belongs to something else, or its key is no longer in the keyset")

// Keyset holds the keys that seal and make pseudonyms. Make one with Generate or
// Parse; the zero Keyset is of no use. It may be used by many goroutines at once,
// as long as none calls Stage or Promote. However it is printed, logged or
// marshalled it says REDACTED; only Marshal writes the keys.
type Keyset struct {
	seal, name  *tinkkeyset.Handle
	aead        tink.AEAD
	prfs        []prf.PRF // the primary key's first
	fingerprint string
}

// fileFormat is the JSON of a keyset's file: two keysets of Tink.
type fileFormat struct {
	Seal json.RawMessage `json:"seal"`
	Name json.RawMessage `json:"name"`
}

// Generate returns a keyset with one new key for each use.
func Generate() (*Keyset, error) {
	seal, err := tinkkeyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a key that seals: %w", err)
	}
	name, err := tinkkeyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a key that names: %w", err)
	}
	return newFromHandles(seal, name)
}

// Parse reads what Marshal has written. Its error says whether the text is no
// keyset, a damaged one, or one with keys of another kind, and quotes nothing of
// it.
func Parse(text string) (*Keyset, error) {
	var f fileFormat
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.Seal == nil || f.Name == nil {
		return nil, errNotKeyset
	}
	seal, sealErr := insecurecleartextkeyset.Read(tinkkeyset.NewJSONReader(bytes.NewReader(f.Seal)))
	name, nameErr := insecurecleartextkeyset.Read(tinkkeyset.NewJSONReader(bytes.NewReader(f.Name)))
	if sealErr != nil || nameErr != nil {
		return nil, errDamaged
	}
	if !allKeys(seal, isSealKey) || !allKeys(name, isNameKey) {
		return nil, errOtherKind
	}
	sealStep, sealOK := stepOf(seal)
	nameStep, nameOK := stepOf(name)
	if !sealOK || !nameOK || sealStep != nameStep {
		return nil, errDamaged
	}
	k, err := newFromHandles(seal, name)
	if err != nil {
		return nil, errDamaged
	}
	return k, nil
}

// newFromHandles makes the primitives, and tries them: keys that work once always
// do.
func newFromHandles(seal, name *tinkkeyset.Handle) (*Keyset, error) {
	k := &Keyset{seal: seal, name: name}
	var err error
	if k.aead, err = aead.New(seal); err != nil {
		return nil, fmt.Errorf("using the keys that seal: %w", err)
	}
	set, err := prf.NewPRFSet(name)
	if err != nil {
		return nil, fmt.Errorf("using the keys that name: %w", err)
	}
	k.prfs = []prf.PRF{set.PRFs[set.PrimaryID]}
	for _, e := range entries(name) {
		if !e.IsPrimary() && e.KeyStatus() == tinkkeyset.Enabled {
			k.prfs = append(k.prfs, set.PRFs[e.KeyID()])
		}
	}
	text, err := k.Marshal()
	if err != nil {
		return nil, err
	}
	k.fingerprint = k.Name("fingerprint of the keyset", string(text))
	return k, nil
}

// Marshal returns the file: indented JSON with the keys in clear.
func (k *Keyset) Marshal() ([]byte, error) {
	var seal, name bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.seal, tinkkeyset.NewJSONWriter(&seal)); err != nil {
		return nil, fmt.Errorf("writing the keys that seal: %w", err)
	}
	if err := insecurecleartextkeyset.Write(k.name, tinkkeyset.NewJSONWriter(&name)); err != nil {
		return nil, fmt.Errorf("writing the keys that name: %w", err)
	}
	text, err := json.MarshalIndent(fileFormat{seal.Bytes(), name.Bytes()}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the keyset: %w", err)
	}
	return append(text, '\n'), nil
}

// Seal encrypts plaintext by the primary key (AES-256-GCM). The associated data is
// not part of the result, and Open has to be given the same, so that a sealed value
// cannot be moved to where other data belongs. The result is 33 bytes longer than
// the plaintext.
func (k *Keyset) Seal(plaintext, associated []byte) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plaintext, associated)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

// Open returns the plaintext of what any of the keys has sealed with the same
// associated data. The error does not say which of the two was wrong.
func (k *Keyset) Open(sealed, associated []byte) ([]byte, error) {
	plaintext, err := k.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, errNotOpened
	}
	return plaintext, nil
}

// Name returns a pseudonym of the parts by the primary key: HMAC-SHA256, as 43
// characters of A-Z, a-z, 0-9, - and _. It is the same wherever the same key is
// primary, and tells nothing of the parts to whoever lacks the key. The parts ("a",
// "b") and ("ab", "") have different names.
func (k *Keyset) Name(parts ...string) string {
	return pseudonym(k.prfs[0], tuple.Encode(parts...))
}

// Names returns the pseudonyms of the parts by every key, the primary's first.
// While a key is staged or was just promoted some machines name by one key and some
// by another: write by Name, look under all of Names.
func (k *Keyset) Names(parts ...string) []string {
	m := tuple.Encode(parts...)
	all := make([]string, 0, len(k.prfs))
	for _, p := range k.prfs {
		if n := pseudonym(p, m); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// Fingerprint changes whenever a key does, or its place, and tells nothing of the
// keys. The same file has the same in every process of one build.
func (k *Keyset) Fingerprint() string { return k.fingerprint }

func pseudonym(p prf.PRF, message []byte) string {
	out, err := p.ComputePRF(message, sha256.Size)
	if err != nil {
		// HMAC-SHA256 always has as many bytes. An empty name instead would make
		// one person of everybody.
		panic(fmt.Sprintf("keyset: naming: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(out)
}

// entries returns the keys of a handle, the oldest first.
func entries(h *tinkkeyset.Handle) []*tinkkeyset.Entry {
	all := make([]*tinkkeyset.Entry, 0, h.Len())
	for i := range h.Len() {
		if e, err := h.Entry(i); err == nil {
			all = append(all, e)
		}
	}
	return all
}

// allKeys tells whether all keys of a handle are of a kind.
func allKeys(h *tinkkeyset.Handle, is func(key.Parameters) bool) bool {
	return !slices.ContainsFunc(entries(h), func(e *tinkkeyset.Entry) bool { return !is(e.Key().Parameters()) })
}

// isSealKey tells whether a key is an AES-256-GCM key with Tink's prefix.
func isSealKey(p key.Parameters) bool {
	aes, ok := p.(*aesgcm.Parameters)
	return ok && aes.KeySizeInBytes() == 32 && aes.Variant() == aesgcm.VariantTink
}

// isNameKey tells whether a key is a 32-byte key of HMAC-SHA256.
func isNameKey(p key.Parameters) bool {
	hmac, ok := p.(*hmacprf.Parameters)
	return ok && hmac.KeySizeInBytes() == 32 && hmac.HashType() == hmacprf.SHA256
}

// String returns REDACTED.
func (Keyset) String() string { return redacted }

// GoString returns REDACTED.
func (Keyset) GoString() string { return redacted }

// Format writes REDACTED for every verb.
func (Keyset) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns REDACTED.
func (Keyset) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "REDACTED".
func (Keyset) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue returns REDACTED.
func (Keyset) LogValue() slog.Value { return slog.StringValue(redacted) }
