// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ownJourney is a journey that the browser has set out on.
type ownJourney struct {
	// owner tells its owners apart, and says no more of them.
	owner string
	// mark is by which its state is recognised, which the browser must not have
	// before it is back.
	mark string
	// back is the state; empty before.
	back string
}

const ownerLen, markLen, stateLen = 5, 8, 26

func short(length int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:length]
}

// ownerOf is how a browser's cookie calls somebody.
func (t *trail) ownerOf(who delegation.Person) string {
	return short(ownerLen, t.browser, who.Realm, who.Subject)
}

func (j ownJourney) is(state string) bool { return j.mark == short(markLen, state) }

// setOut notes a journey that has just begun.
func (t *trail) setOut(who delegation.Person, state string) {
	t.own = append([]ownJourney{{owner: t.ownerOf(who), mark: short(markLen, state)}}, t.own...)
	t.makeRoom()
}

// cameBack notes the state of one of its own journeys, and tells whether it is one.
func (t *trail) cameBack(state string) bool {
	for i, j := range t.own {
		if j.is(state) {
			t.own[i].back = state
			return true
		}
	}
	return false
}

// makeRoom has somebody give way who has the most, and of theirs the oldest,
// first of those that are not back: the platform's word waits for the others.
// Of two who have as many it is not the one who has just come.
func (t *trail) makeRoom() {
	for len(t.own) > maxOwn {
		count := make(map[string]int)
		most := t.own[len(t.own)-1].owner
		for _, j := range slices.Backward(t.own) {
			if count[j.owner]++; count[j.owner] > count[most] {
				most = j.owner
			}
		}
		last := -1
		for i, j := range t.own {
			if j.owner == most && (last < 0 || j.back == "" || t.own[last].back != "") {
				last = i
			}
		}
		t.own = slices.Delete(slices.Clone(t.own), last, last+1)
	}
}

// ownBacks are the states of somebody's journeys that are back.
func (t *trail) ownBacks(who delegation.Person) []string {
	var backs []string
	for _, j := range t.own {
		if j.back != "" && j.owner == t.ownerOf(who) {
			backs = append(backs, j.back)
		}
	}
	return backs
}

// formatOwn writes them into a cookie, behind a mark of their own.
func formatOwn(own []ownJourney) string {
	var b strings.Builder
	for i, j := range own {
		b.WriteByte("~."[min(i, 1)])
		b.WriteString(j.owner)
		if j.back != "" {
			b.WriteString(j.back)
		} else {
			b.WriteString(j.mark)
		}
	}
	return b.String()
}

// parseOwn reads them. What formatOwn cannot have written makes the cookie none.
func parseOwn(text string) (own []ownJourney, ok bool) {
	if text == "" {
		return nil, true
	}
	for entry := range strings.SplitSeq(text, ".") {
		switch {
		case !isToken(entry) || len(own) == maxOwn:
			return nil, false
		case len(entry) == ownerLen+markLen:
			own = append(own, ownJourney{owner: entry[:ownerLen], mark: entry[ownerLen:]})
		case len(entry) == ownerLen+stateLen:
			back := entry[ownerLen:]
			own = append(own, ownJourney{owner: entry[:ownerLen], mark: short(markLen, back), back: back})
		default:
			return nil, false
		}
	}
	return own, true
}
