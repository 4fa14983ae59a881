// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// A row of grants or journeys is sealed by a key of its own, a new one each time
// that it is written. The keyset seals these row keys, and they are in small tables
// beside the rows. So what a database leaves behind of a deleted or replaced row
// (free space in its pages, its log, an index) does not open any more once its row
// key is gone, and only the small tables have to be cleaned: see [Store.Erase].

// rowKeyTables is how many tables of row keys there are. One of them is written
// anew for each deletion: with a million grants that is 16,000 keys, a part of a
// second.
const rowKeyTables = 64

// errNoRowKey is that a row's key is gone: the row was deleted or replaced since it
// was read.
var errNoRowKey = errors.New("the row's key is gone")

// rowKey seals one version of one row, by AES-256-GCM with random nonces.
type rowKey struct {
	id   string
	aead cipher.AEAD
}

// rowKeyTableNames are the tables, in the order of the first two digits of a key's
// id.
var rowKeyTableNames = func() (names []string) {
	for i := range rowKeyTables {
		names = append(names, fmt.Sprintf("row_keys_%02x", i))
	}
	return names
}()

// rowKeyTable returns the table of a key. ok is false for an id that is not one of
// ours: it comes from the database, and becomes part of a statement.
func rowKeyTable(id string) (table string, ok bool) {
	table = "row_keys_" + id[:min(2, len(id))]
	return table, isRowKeyTable(table)
}

func isRowKeyTable(name string) bool { return slices.Contains(rowKeyTableNames, name) }

func rowKeyAAD(id string) []byte { return tuple.Encode("key of row", id) }

// openRowKey returns the row key with an id and 32 bytes of key.
func openRowKey(id string, key []byte) (*rowKey, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &rowKey{id: id, aead: aead}, err
}

// newRowKey makes a row key and writes it, sealed by the primary key of the keyset.
func (s *Store) newRowKey(ctx context.Context, tx querier) (*rowKey, error) {
	key := make([]byte, 33)
	_, _ = rand.Read(key) // never fails
	id := fmt.Sprintf("%02x", key[32]%rowKeyTables) + newID()
	k, err := openRowKey(id, key[:32])
	if err != nil {
		return nil, err
	}
	sealed, err := s.keys.Seal(key[:32], rowKeyAAD(id))
	if err != nil {
		return nil, err
	}
	table, _ := rowKeyTable(id)
	_, err = s.exec(ctx, tx, "INSERT INTO "+table+" (id, sealed) VALUES (", id, ", ", sealed, ")")
	return k, err
}

// rowKey reads a row key. The error is errNoRowKey, [ErrDamaged] or the database's.
func (s *Store) rowKey(ctx context.Context, db querier, id string) (*rowKey, error) {
	found, err := s.rowKeys(ctx, db, []string{id})
	if err != nil {
		return nil, err
	}
	sealed, ok := found[id]
	if !ok {
		return nil, errNoRowKey
	}
	return s.unsealRowKey(id, sealed)
}

// unsealRowKey opens a row key. The error is [ErrDamaged].
func (s *Store) unsealRowKey(id string, sealed []byte) (*rowKey, error) {
	key, err := s.keys.Open(sealed, rowKeyAAD(id))
	if err != nil {
		return nil, ErrDamaged
	}
	k, err := openRowKey(id, key)
	if err != nil {
		return nil, ErrDamaged
	}
	return k, nil
}

// rowKeys reads many row keys at once, as the keyset has sealed them. One that is
// gone is missing.
func (s *Store) rowKeys(ctx context.Context, db querier, ids []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(ids))
	err := eachRowKeyTable(ids, func(table string, ids []string) error {
		text, args := s.buildQuery("SELECT id, sealed FROM "+table+" WHERE id IN ", ids, "")
		rows, err := db.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id string
			var sealed []byte
			if err := rows.Scan(&id, &sealed); err != nil {
				return err
			}
			found[id] = sealed
		}
		return rows.Err()
	})
	return found, err
}

// eachRowKeyTable calls do for each table that has some of the keys, with no more
// of them at a time than a statement may have parameters.
func eachRowKeyTable(ids []string, do func(table string, ids []string) error) error {
	byTable := make(map[string][]string)
	for _, id := range ids {
		if table, ok := rowKeyTable(id); ok {
			byTable[table] = append(byTable[table], id)
		}
	}
	for table, ids := range byTable {
		for some := range slices.Chunk(ids, 500) {
			if err := do(table, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteRowKeys deletes row keys, and queues their tables to be cleaned.
func (s *Store) deleteRowKeys(ctx context.Context, tx querier, ids ...string) error {
	return eachRowKeyTable(ids, func(table string, ids []string) error {
		if _, err := s.exec(ctx, tx, "DELETE FROM "+table+" WHERE id IN ", ids, ""); err != nil {
			return err
		}
		return s.queueErasure(ctx, tx, table)
	})
}

// deleteRows deletes rows of grants or journeys for good, with their row keys. The
// pieces are a DELETE, see [Store.buildQuery].
func (s *Store) deleteRows(ctx context.Context, tx querier, pieces ...any) error {
	pieces = slices.Clone(pieces)
	last := len(pieces) - 1
	pieces[last] = pieces[last].(string) + " RETURNING row_key"
	text, args := s.buildQuery(pieces...)
	ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
	if err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, ids...)
}

func (k *rowKey) seal(plain []byte, place ...string) []byte {
	return k.aead.Seal(nil, nil, plain, tuple.Encode(place...)) //nolint:gosec // the AEAD makes its nonce itself: cipher.NewGCMWithRandomNonce
}

func (k *rowKey) open(sealed []byte, place ...string) ([]byte, error) {
	plain, err := k.aead.Open(nil, nil, sealed, tuple.Encode(place...))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

func (k *rowKey) sealJSON(v any, place ...string) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return k.seal(plain, place...), nil
}

func (k *rowKey) openJSON(sealed []byte, v any, place ...string) error {
	plain, err := k.open(sealed, place...)
	if err == nil && json.Unmarshal(plain, v) != nil {
		err = ErrDamaged
	}
	return err
}
