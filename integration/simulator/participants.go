// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Participant is one participant of the project.
type Participant struct {
	// ID is the platform's name for the participant, a GUID.
	ID string `json:"id"`
	// Identifier is the project's name for the participant.
	Identifier string `json:"participantIdentifier"`
	// FirstName and LastName are part of the demographics.
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	// Demographics are the other demographics, such as email.
	Demographics map[string]string `json:"demographics,omitempty"`
	// CustomFields are the project's own fields.
	CustomFields map[string]string `json:"customFields,omitempty"`
	// WithdrawDate is ISO 8601. Empty: the participant is active.
	WithdrawDate string `json:"withdrawDate,omitempty"`
	// InsertedDate is ISO 8601. Default: when the participant was added.
	InsertedDate string `json:"insertedDate,omitempty"`
}

// Check tells what a participant lacks. An empty ID is fine, it is derived.
func (p *Participant) Check() error {
	if p.Identifier == "" {
		return errors.New("participantIdentifier is missing")
	}
	if p.ID != "" && !isGUID(p.ID) {
		return errors.New("id is no GUID")
	}
	return nil
}

func (p *Participant) clone() Participant {
	c := *p
	c.Demographics = maps.Clone(p.Demographics)
	c.CustomFields = maps.Clone(p.CustomFields)
	return c
}

// SampleParticipants returns n participants, the same ones every time. The
// identifiers run from AA-0000-0001; the custom field appUserID is user-1 and so on.
func SampleParticipants(n int) []Participant {
	first := []string{"Ada", "Blaise", "Carla", "Dorian", "Edda", "Farid", "Greta", "Hiro", "Ines", "Jonas"}
	last := []string{"Abel", "Berg", "Castro", "Dahl", "Ende", "Faro", "Grau", "Holm", "Iyer", "Jung", "Kern"}
	ps := make([]Participant, n)
	for i := range ps {
		identifier := fmt.Sprintf("AA-%04d-%04d", (i+1)/10000, (i+1)%10000)
		ps[i] = Participant{
			ID:           guidOf("participant", identifier),
			Identifier:   identifier,
			FirstName:    first[i%len(first)],
			LastName:     last[i%len(last)],
			CustomFields: map[string]string{"appUserID": fmt.Sprintf("user-%d", i+1)},
			InsertedDate: isoDate(epochStart.Add(time.Duration(i) * time.Minute)),
		}
	}
	return ps
}

// epochStart is when made-up data begins.
var epochStart = time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC)

func isoDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000+00:00") }

// guidOf derives a GUID from names.
func guidOf(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F'):
			return false
		}
	}
	return true
}

// registry holds the participants. The values it hands out are never changed:
// an update replaces them.
type registry struct {
	mu          sync.RWMutex
	ids         map[string]*Participant
	identifiers map[string]*Participant
	order       []*Participant // by insertion
}

func (g *registry) byID(id string) *Participant {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.ids[strings.ToLower(id)]
}

func (g *registry) byIdentifier(identifier string, foldCase bool) *Participant {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if p := g.identifiers[identifier]; p != nil || !foldCase {
		return p
	}
	for _, p := range g.order {
		if strings.EqualFold(p.Identifier, identifier) {
			return p
		}
	}
	return nil
}

// put adds or replaces a participant.
func (g *registry) put(p Participant, now time.Time) {
	if err := p.Check(); err != nil {
		panic("simulator: participant: " + err.Error())
	}
	p = p.clone()
	if p.ID == "" {
		p.ID = guidOf("participant", p.Identifier)
	}
	p.ID = strings.ToLower(p.ID)
	if p.InsertedDate == "" {
		p.InsertedDate = isoDate(now)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.store(&p)
}

func (g *registry) store(p *Participant) {
	if g.ids == nil {
		g.ids, g.identifiers = make(map[string]*Participant), make(map[string]*Participant)
	}
	if old := g.ids[p.ID]; old != nil {
		g.order[slices.Index(g.order, old)] = p
		if g.identifiers[old.Identifier] == old {
			delete(g.identifiers, old.Identifier)
		}
	} else {
		g.order = append(g.order, p)
	}
	g.ids[p.ID], g.identifiers[p.Identifier] = p, p
}

func (g *registry) update(id string, change func(*Participant)) *Participant {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.ids[strings.ToLower(id)]
	if old == nil {
		return nil
	}
	p := old.clone()
	change(&p)
	p = p.clone() // the caller may hold on to maps it put there
	p.ID = old.ID
	g.store(&p)
	return &p
}

func (g *registry) all() []Participant {
	g.mu.RLock()
	defer g.mu.RUnlock()
	all := make([]Participant, len(g.order))
	for i, p := range g.order {
		all[i] = p.clone()
	}
	return all
}

// page returns one page of those that match, oldest first or newest first, and how many match.
func (g *registry) page(number, size int, ascending bool, match func(*Participant) bool) (page []*Participant, total int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	all := g.order
	if match != nil {
		all = nil
		for _, p := range g.order {
			if match(p) {
				all = append(all, p)
			}
		}
	}
	if number > len(all)/size {
		return nil, len(all)
	}
	start := number * size
	for i := start; i < min(start+size, len(all)); i++ {
		if ascending {
			page = append(page, all[i])
		} else {
			page = append(page, all[len(all)-1-i])
		}
	}
	return page, len(all)
}
