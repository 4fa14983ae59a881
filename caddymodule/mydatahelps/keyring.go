// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// keyring holds the service account's private keys: one, or two while they are
// rotated. Where they come from files it notices when those change.
type keyring struct {
	load func() ([]*rsa.PrivateKey, error) // nil: they do not change

	mu    sync.Mutex
	keys  []*rsa.PrivateKey
	print string
	lost  bool // the files cannot be read any more
}

func newKeyring(keys []*rsa.PrivateKey, load func() ([]*rsa.PrivateKey, error)) *keyring {
	return &keyring{load: load, keys: keys, print: strings.Join(keyFingerprints(keys), " ")}
}

// fingerprint names the keys in use.
func (k *keyring) fingerprint() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.print
}

// read returns the keys as they are now. Keys that cannot be read, such as a
// file that is just being written, leave the old ones in use.
func (k *keyring) read(logger *zap.Logger) []*rsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.load == nil {
		return k.keys
	}
	keys, err := k.load()
	if err == nil {
		err = checkKeys(keys)
	}
	if err != nil {
		if !k.lost {
			logger.Error("the private key cannot be read any more; the one that was read before is used until it can", zap.Error(err))
		}
		k.lost = true
		return k.keys
	}
	k.lost = false
	if !slices.EqualFunc(keys, k.keys, func(a, b *rsa.PrivateKey) bool { return a.Equal(b) }) {
		logger.Info("the private key has changed and is used from now on")
		k.keys, k.print = keys, strings.Join(keyFingerprints(keys), " ")
	}
	return k.keys
}
