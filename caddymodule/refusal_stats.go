// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

const (
	// everybodyThreshold is how many different people in a row are refused with
	// one code before that is taken for everybody's trouble. Where nobody was let
	// in yet, as many requests are enough if all have that code.
	everybodyThreshold = 20

	// statsMinutes is the number of minutes of which refusals are counted for the
	// status.
	statsMinutes = 10

	// minWarnInterval is the least time between two warnings.
	minWarnInterval = 10 * time.Minute
)

// refusalStats counts the refusals of the last ten minutes by code, and warns when
// nobody gets through any more. It is one provider's, or that of all app_session.
// Of people it keeps digests by a seed of its own that never leaves the process,
// twenty for each code at most, until somebody is let in. It belongs to one
// configuration: a reload may have ended the trouble. A nil one does nothing. It
// is safe for concurrent use.
type refusalStats struct {
	logger *zap.Logger
	seed   maphash.Seed

	// anyRefused is whether anybody was refused since somebody was let in, or
	// nobody was let in yet. It keeps the mutex out of the way of most requests.
	anyRefused atomic.Bool

	mu          sync.Mutex
	anyAdmitted bool // somebody was let in
	total       int  // requests that were refused since
	codes       map[delegation.Code]*refusedPeople
	warnedCode  delegation.Code // of the last warning; empty once somebody is let in
	warnedSince time.Time       // when warnedCode was found to be everybody's, in UTC
	warnedAt    time.Time       // of the last warning; zero: there was none
	minutes     [statsMinutes]minuteCounts
}

// refusedPeople are the people who were refused with one code, as digests, and the
// number of their requests.
type refusedPeople struct {
	people   map[uint64]struct{}
	requests int
}

// minuteCounts counts the refusals of one minute.
type minuteCounts struct {
	minute int64 // Unix time in minutes
	codes  map[delegation.Code]int
}

func newRefusalStats(logger *zap.Logger) *refusalStats {
	s := &refusalStats{logger: logger, seed: maphash.MakeSeed(), codes: make(map[delegation.Code]*refusedPeople)}
	s.anyRefused.Store(true)
	return s
}

// recordAdmission notes that somebody was let in.
func (s *refusalStats) recordAdmission() {
	if s == nil || !s.anyRefused.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anyAdmitted, s.total, s.warnedCode = true, 0, ""
	clear(s.codes)
	s.anyRefused.Store(false)
}

// personDigest returns the digest of somebody who is signed in; 0 for nobody.
func (s *refusalStats) personDigest(who delegation.Person) uint64 {
	if s == nil || who == (delegation.Person{}) {
		return 0
	}
	return maphash.Comparable(s.seed, who) | 1 // 0 is nobody
}

// requestDigest returns the digest of the cookies and credentials of a request
// whose sender is not known; 0 without any: nobody has tried to sign in then.
func (s *refusalStats) requestDigest(h http.Header) uint64 {
	if s == nil || len(h["Cookie"]) == 0 && len(h["Authorization"]) == 0 {
		return 0
	}
	var hash maphash.Hash
	hash.SetSeed(s.seed)
	for _, name := range []string{"Cookie", "Authorization"} {
		for _, value := range h[name] {
			_, _ = hash.WriteString(value)
			_ = hash.WriteByte(0)
		}
	}
	return hash.Sum64() | 1
}

// recordRefused counts a refusal, and warns if everybody is refused with its code.
// who is a digest; with 0 the refusal is counted, but as nobody's. provider is the
// field of the warning.
func (s *refusalStats) recordRefused(refusal *delegation.Refusal, who uint64, provider zap.Field) {
	if s == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(refusal.Code, now)
	if who == 0 {
		return
	}
	s.anyRefused.Store(true)
	s.total++
	c := s.codes[refusal.Code]
	if c == nil {
		c = &refusedPeople{people: make(map[uint64]struct{})}
		s.codes[refusal.Code] = c
	}
	c.requests++
	if len(c.people) < everybodyThreshold {
		c.people[who] = struct{}{}
	}
	all := !s.anyAdmitted && c.requests == s.total && s.total >= everybodyThreshold
	if s.warnedCode != "" || len(c.people) < everybodyThreshold && !all {
		return
	}
	s.warnedCode, s.warnedSince = refusal.Code, now.UTC()
	if !s.warnedAt.IsZero() && now.Sub(s.warnedAt) < minWarnInterval {
		return
	}
	s.warnedAt = now
	s.logger.Warn("everybody is refused with one code", provider,
		zap.String("code", string(refusal.Code)), zap.Int("people", len(c.people)), zap.Int("requests", c.requests),
		zap.NamedError("cause", refusal.Unwrap()), zap.String("mend", mendOf(refusal.Code)))
}

func (s *refusalStats) count(code delegation.Code, now time.Time) {
	minute := now.Unix() / 60
	m := &s.minutes[minute%statsMinutes]
	if m.minute != minute {
		*m = minuteCounts{minute, make(map[delegation.Code]int)}
	}
	m.codes[code]++
}

// status returns the refusals of the last ten minutes by code, and the code that
// everybody is refused with: empty if somebody was let in since.
func (s *refusalStats) status() (r status.Refusals) {
	if s == nil {
		return r
	}
	oldest := time.Now().Unix()/60 - statsMinutes
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Refused = make(map[delegation.Code]int)
	for _, m := range s.minutes {
		if m.minute <= oldest {
			continue
		}
		for code, n := range m.codes {
			r.Refused[code] += n
		}
	}
	if r.EverybodyRefused = s.warnedCode; s.warnedCode != "" {
		r.EverybodyRefusedSince = s.warnedSince
	}
	return r
}
