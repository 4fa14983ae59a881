// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Member is a person with a MydexID and a personal data store.
type Member struct {
	UID     string `json:"uid"`
	MydexID string `json:"mydexid"`
}

// SampleMembers makes up members; the same n gives the same ones.
func SampleMembers(n int) []Member {
	names := []string{"Robin", "Wren", "Heron", "Linnet", "Plover"}
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{UID: fmt.Sprint(4020 + i), MydexID: fmt.Sprintf("%s%d", names[i%len(names)], 101+i)}
	}
	return members
}

// Check tells what is wrong with a member, if anything.
func (p Member) Check() error {
	for _, r := range p.UID {
		if r < '0' || r > '9' {
			return fmt.Errorf("uid: %q is no number", p.UID)
		}
	}
	if p.UID == "" || p.MydexID == "" {
		return errors.New("a member needs uid and mydexid")
	}
	return nil
}

// Connection is what a member's agreement gives to the subscriber.
type Connection struct {
	UID     string `json:"uid"`
	MydexID string `json:"mydexid"`
	// ConID is connection_id of callbacks and con_id of calls.
	ConID string `json:"con_id"`
	// Key is the member key: 32 letters and digits.
	Key string `json:"key"`
	// Version is the one of the agreement.
	Version int `json:"version"`
}

// registry keeps members and their connections.
type registry struct {
	mu          sync.RWMutex
	members     []Member
	connections map[string]Connection // by uid
}

// AddMember adds a member, or replaces the one with the same uid.
func (m *Mydex) AddMember(p Member) {
	r := &m.people
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(r.members, func(old Member) bool { return old.UID == p.UID })
	r.members = append(r.members, p)
	slices.SortFunc(r.members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(len(a.UID), len(b.UID)), cmp.Compare(a.UID, b.UID))
	})
}

// Members returns all members by ascending uid.
func (m *Mydex) Members() []Member {
	m.people.mu.RLock()
	defer m.people.mu.RUnlock()
	return slices.Clone(m.people.members)
}

func (r *registry) find(which func(Member) bool) (Member, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if i := slices.IndexFunc(r.members, which); i >= 0 {
		return r.members[i], true
	}
	return Member{}, false
}

func (r *registry) byUID(uid string) (Member, bool) {
	return r.find(func(p Member) bool { return p.UID == uid })
}

func (r *registry) byMydexID(id string) (Member, bool) {
	return r.find(func(p Member) bool { return p.MydexID == id })
}

// Connect connects a member without a consent flow or a callback, for tests that
// begin after it. Who is connected already keeps their key.
func (m *Mydex) Connect(uid string) (Connection, error) {
	p, ok := m.people.byUID(uid)
	if !ok {
		return Connection{}, fmt.Errorf("there is no member with the uid %q", uid)
	}
	return m.people.connect(p, m.nid, 1, true), nil
}

// Connection returns a member's connection.
func (m *Mydex) Connection(uid string) (Connection, bool) {
	m.people.mu.RLock()
	defer m.people.mu.RUnlock()
	c, ok := m.people.connections[uid]
	return c, ok
}

// Connections returns all connections by ascending uid.
func (m *Mydex) Connections() []Connection {
	connections := make([]Connection, 0)
	for _, p := range m.Members() {
		if c, ok := m.Connection(p.UID); ok {
			connections = append(connections, c)
		}
	}
	return connections
}

// Withdraw takes a member's agreement back: their uid, con_id and key open
// nothing any more. The data stay, for the case that they agree again.
func (m *Mydex) Withdraw(uid string) {
	m.people.mu.Lock()
	defer m.people.mu.Unlock()
	delete(m.people.connections, uid)
}

// Rotate gives a connected member a new key; the old one opens nothing any more.
func (m *Mydex) Rotate(uid string) (Connection, error) {
	m.people.mu.Lock()
	defer m.people.mu.Unlock()
	c, ok := m.people.connections[uid]
	if !ok {
		return Connection{}, fmt.Errorf("no member with the uid %q is connected", uid)
	}
	c.Key = memberKey()
	m.people.connections[uid] = c
	return c, nil
}

// connect creates the connection, or renews it; keep says whether an existing key stays.
func (r *registry) connect(p Member, nid string, version int, keep bool) Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := r.connections[p.UID].Key
	if key == "" || !keep {
		key = memberKey()
	}
	c := Connection{UID: p.UID, MydexID: p.MydexID, ConID: p.UID + "-" + nid, Key: key, Version: version}
	if r.connections == nil {
		r.connections = make(map[string]Connection)
	}
	r.connections[p.UID] = c
	return c
}

// credentialProblem tells why the three do not belong together, or returns an empty string.
func (r *registry) credentialProblem(uid, conID, key string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.connections[uid]
	switch {
	case !ok:
		return fmt.Sprintf("no member with the uid %q is connected", uid)
	case conID != c.ConID:
		return "con_id is not that of the member's connection"
	case subtle.ConstantTimeCompare([]byte(key), []byte(c.Key)) != 1:
		return "the member key is not that of the connection"
	}
	return ""
}

// memberKey makes a key of the form of the platform's samples.
func memberKey() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	key := make([]byte, 0, 32)
	for b := make([]byte, 1); len(key) < cap(key); {
		_, _ = rand.Read(b)
		if int(b[0]) < 4*len(letters) { // else the first letters would come oftener
			key = append(key, letters[int(b[0])%len(letters)])
		}
	}
	return string(key)
}
