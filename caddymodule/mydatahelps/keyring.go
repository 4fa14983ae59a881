// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// keyring holds the service account's private keys: one, or two while they are
// rotated. It notices when their files change.
type keyring struct {
	load func() ([]*rsa.PrivateKey, error) // nil: they do not change
	now  atomic.Pointer[[]*rsa.PrivateKey]

	reading sync.Mutex
	lost    bool // the files could not be read the last time
}

func newKeyring(keys []*rsa.PrivateKey, load func() ([]*rsa.PrivateKey, error)) *keyring {
	k := &keyring{load: load}
	k.now.Store(&keys)
	return k
}

// read returns the current keys. If they cannot be read, as from a file that is just
// being written, it returns the ones that were read before.
func (k *keyring) read(logger *zap.Logger) []*rsa.PrivateKey {
	if k.load == nil {
		return *k.now.Load()
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	old := *k.now.Load()
	keys, err := k.load()
	if err == nil {
		err = checkKeys(keys)
	}
	if err != nil {
		if !k.lost {
			logger.Error("the private key cannot be read any more; the one that was read before is used until it can", zap.Error(err))
		}
		k.lost = true
		return old
	}
	k.lost = false
	if !slices.EqualFunc(keys, old, func(a, b *rsa.PrivateKey) bool { return a.Equal(b) }) {
		logger.Info("the private key has changed and is used from now on", zap.String("public_key_sha256", oauth.PublicFingerprint(keys[0])))
		k.now.Store(&keys)
	}
	return keys
}
