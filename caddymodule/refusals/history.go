// SPDX-License-Identifier: Apache-2.0

// Package refusals keeps the latest refusals of a process in memory, so that an
// operator who is given the ID of a request can tell why it was refused. Nothing
// in it names a person.
package refusals

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// PerCode is how many refusals of one code are kept: the newest. Each code has a
	// share of its own, so that a flood of requests that are refused with one, as
	// anybody can send without a session, does not drive out the others.
	PerCode = 256

	// maxCause is the most bytes of a cause that are kept. With some thirty codes
	// a full history has less than 8 MiB.
	maxCause = 500
)

// Record is a refusal as operators see it: no person, path, header or body.
type Record struct {
	// RequestID is Caddy's {http.request.uuid}.
	RequestID string `json:"request_id"`
	// Time is when the request was refused, in UTC.
	Time time.Time `json:"time"`

	// Code, Status and Step are what the client was told, and in which step of
	// the request that was decided.
	Code   delegation.Code `json:"code"`
	Status int             `json:"status"`
	Step   Step            `json:"step"`

	// Provider and Source are empty for app_session and delegate_logout, and for a
	// provider without sources.
	Provider string `json:"provider,omitempty"`
	Source   string `json:"source,omitempty"`

	// Method is one of HTTP's, or other; Route the pattern of the `allow` line, empty
	// for a directive without a policy.
	Method string `json:"method"`
	Route  string `json:"route,omitempty"`

	// Cause is that of the log, of at most 500 bytes; Mend is what to look at.
	Cause string `json:"cause,omitempty"`
	Mend  string `json:"mend"`
}

// History is the latest refusals of a process, over reloads. It is safe for
// concurrent use.
type History struct {
	since time.Time

	mu    sync.Mutex
	rings map[delegation.Code]*ring
}

// ring holds the newest records of a code; next is where the oldest one is, once
// there are [PerCode].
type ring struct {
	records []Record
	next    int
}

// NewHistory returns an empty history.
func NewHistory() *History {
	return &History{since: time.Now().UTC(), rings: make(map[delegation.Code]*ring)}
}

// Since is when the history began, in UTC: with the process.
func (h *History) Since() time.Time { return h.since }

// Add keeps a refusal that happens now. The time, the step and the bound of the
// cause are set by it.
func (h *History) Add(r Record) {
	r.Time, r.Step, r.Cause = time.Now().UTC(), StepOf(r.Code), shortened(r.Cause)
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.rings[r.Code]
	if of == nil {
		of = new(ring)
		h.rings[r.Code] = of
	}
	if len(of.records) < PerCode {
		of.records = append(of.records, r)
		return
	}
	of.records[of.next] = r
	of.next = (of.next + 1) % PerCode
}

// Find returns the refusals of a request that are kept, the oldest first. There is
// more than one if a handler behind the first has asked again.
func (h *History) Find(requestID string) []Record {
	found := h.collect(func(r *Record) bool { return r.RequestID == requestID })
	slices.SortStableFunc(found, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return found
}

// Latest returns the n newest refusals that are kept, of all codes or of one,
// the newest first.
func (h *History) Latest(n int, code delegation.Code) []Record {
	found := h.collect(func(r *Record) bool { return cmp.Or(code, r.Code) == r.Code })
	slices.SortStableFunc(found, func(a, b Record) int { return b.Time.Compare(a.Time) })
	return found[:min(max(n, 0), len(found))]
}

// collect returns the records that match.
func (h *History) collect(match func(*Record) bool) []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := []Record{}
	for _, of := range h.rings {
		for i := range of.records {
			if match(&of.records[i]) {
				found = append(found, of.records[i])
			}
		}
	}
	return found
}

// shortened cuts a cause to its bound, between two characters. What it returns
// is a copy: the text it is part of may be large.
func shortened(cause string) string {
	if len(cause) <= maxCause {
		return cause
	}
	end := maxCause - len("…")
	for !utf8.RuneStart(cause[end]) {
		end--
	}
	return strings.Clone(cause[:end]) + "…"
}

// Answer is the JSON of GET /delegate/refusals of the admin endpoint.
type Answer struct {
	// Since is when this process began to keep refusals.
	Since time.Time `json:"since"`
	// Refusals are those asked for; empty, not null, if none is kept.
	Refusals []Record `json:"refusals"`
}
