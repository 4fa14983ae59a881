// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"maps"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// fields are the fields of one item, as they were sent.
type fields map[string]any

// memberData is what one member's personal data store holds for the connection.
type memberData struct {
	datasets     map[string]map[int]fields // by name and instance
	rows         map[string][]*row         // of transactional datasets, by name
	events       []*row
	appointments []*row
	referrals    []*row
	messages     []*row
	measurements []*row
}

// row is an item with an ID of its own.
type row struct {
	id      int
	created int64 // epoch seconds
	fields  fields
}

// store keeps the members' data, in memory.
type store struct {
	mu      sync.Mutex
	last    int // last_insert_id
	members map[string]*memberData
}

// Fill puts an instance of a dataset in a member's personal data store, as
// other connections of theirs do.
func (m *Mydex) Fill(uid, dataset string, instance int, content map[string]any) {
	m.data.mu.Lock()
	defer m.data.mu.Unlock()
	data := m.data.of(uid)
	if data.datasets[dataset] == nil {
		data.datasets[dataset] = make(map[int]fields)
	}
	data.datasets[dataset][instance] = maps.Clone(content)
}

// FillRow adds a row to a transactional dataset of a member's, in the same way,
// and returns its ID.
func (m *Mydex) FillRow(uid, dataset string, content map[string]any) int {
	m.data.mu.Lock()
	defer m.data.mu.Unlock()
	data := m.data.of(uid)
	r := &row{id: len(data.rows[dataset]) + 1, created: m.clock().Unix(), fields: maps.Clone(content)}
	data.rows[dataset] = append(data.rows[dataset], r)
	return r.id
}

// FillSample gives a member what the platform's examples read and update: their
// name, and a referral, the first row of ds_referrals.
func (m *Mydex) FillSample(p Member) {
	m.Fill(p.UID, "ds_personal_details", 0, map[string]any{"field_personal_fname": p.MydexID, "field_personal_faname": "Example"})
	m.FillRow(p.UID, "ds_referrals", map[string]any{
		"service_name": "Walking group", "contact_name": "Sam Example", "type": "signpost", "status": "Referred", "memo": "", "is_processed": "0",
	})
}

// of is a member's; the caller holds the lock.
func (s *store) of(uid string) *memberData {
	if s.members == nil {
		s.members = make(map[string]*memberData)
	}
	if s.members[uid] == nil {
		s.members[uid] = &memberData{
			datasets: make(map[string]map[int]fields), rows: make(map[string][]*row),
		}
	}
	return s.members[uid]
}

// serve runs a handler with the member's data at hand and nobody else there.
// Its answer is marshalled before the next one may change what it shows.
func (v *memberCall) serve(handle func(*memberCall) (any, *refusal)) ([]byte, *refusal) {
	s := v.store
	s.mu.Lock()
	defer s.mu.Unlock()
	v.data = s.of(v.uid)
	answer, refused := handle(v)
	if refused != nil {
		return nil, refused
	}
	return control.Marshal(answer), nil
}

// add makes a row of fields with the next ID.
func (v *memberCall) add(rows *[]*row, f fields) *row {
	v.store.last++
	r := &row{id: v.store.last, created: v.now.Unix(), fields: f}
	*rows = append(*rows, r)
	return r
}

// find returns the row that an ID, sent as number or text, names.
func find(rows []*row, id any) *row {
	for _, r := range rows {
		if fmt.Sprint(r.id) == text(id) {
			return r
		}
	}
	return nil
}

// text is a scalar as text; nothing is an empty one.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// created is the answer to what made an item.
type created struct {
	Success      int `json:"success"`
	LastInsertID int `json:"last_insert_id"`
}

func inserted(r *row) (any, *refusal) { return created{1, r.id}, nil }

// done is the answer to what changed or removed an item.
type done struct {
	Success int `json:"success"`
}

// object is the body as an object that has all of the fields.
func (v *memberCall) object(required ...string) (fields, *refusal) {
	o, ok := v.body.(map[string]any)
	if !ok {
		return nil, bad("The request body is not a JSON object")
	}
	for _, name := range required {
		if o[name] == nil || o[name] == "" {
			return nil, bad("Missing field: " + name)
		}
	}
	return o, nil
}
