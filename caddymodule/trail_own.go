// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ownFlow is a journey that the browser has set out on.
type ownFlow struct {
	// owner tells its owners apart, and says no more of them.
	owner string
	// stateDigest is by which its state is recognised, which the browser must not have
	// before it is back.
	stateDigest string
	// state is the state; empty before.
	state string
}

const ownerLen, stateDigestLen, stateLen = 5, 8, 26

func shortDigest(length int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:length]
}

// ownerTag is how a browser's cookie calls somebody.
func (t *consentCookie) ownerTag(who delegation.Person) string {
	return shortDigest(ownerLen, t.browserToken, who.Realm, who.Subject)
}

func (j ownFlow) hasState(state string) bool {
	return j.stateDigest == shortDigest(stateDigestLen, state)
}

// addOwn notes a journey that has just begun.
func (t *consentCookie) addOwn(who delegation.Person, state string) {
	t.ownFlows = append([]ownFlow{{owner: t.ownerTag(who), stateDigest: shortDigest(stateDigestLen, state)}}, t.ownFlows...)
	t.evict()
}

// markReturned notes the state of one of its own journeys, and tells whether it is one.
func (t *consentCookie) markReturned(state string) bool {
	for i, j := range t.ownFlows {
		if j.hasState(state) {
			t.ownFlows[i].state = state
			return true
		}
	}
	return false
}

// evict has somebody give way who has the most, and of theirs the oldest,
// first of those that are not back: the platform's word waits for the others.
// Of two who have as many it is not the one who has just come.
func (t *consentCookie) evict() {
	for len(t.ownFlows) > maxOwnFlows {
		count := make(map[string]int)
		most := t.ownFlows[len(t.ownFlows)-1].owner
		for _, j := range slices.Backward(t.ownFlows) {
			if count[j.owner]++; count[j.owner] > count[most] {
				most = j.owner
			}
		}
		last := -1
		for i, j := range t.ownFlows {
			if j.owner == most && (last < 0 || j.state == "" || t.ownFlows[last].state != "") {
				last = i
			}
		}
		t.ownFlows = slices.Delete(slices.Clone(t.ownFlows), last, last+1)
	}
}

// returnedStates are the states of somebody's journeys that are back.
func (t *consentCookie) returnedStates(who delegation.Person) []string {
	var backs []string
	for _, j := range t.ownFlows {
		if j.state != "" && j.owner == t.ownerTag(who) {
			backs = append(backs, j.state)
		}
	}
	return backs
}

// formatOwnFlows writes them into a cookie, behind a mark of their own.
func formatOwnFlows(own []ownFlow) string {
	var b strings.Builder
	for i, j := range own {
		b.WriteByte("~."[min(i, 1)])
		b.WriteString(j.owner)
		if j.state != "" {
			b.WriteString(j.state)
		} else {
			b.WriteString(j.stateDigest)
		}
	}
	return b.String()
}

// parseOwnFlows reads them. What formatOwn cannot have written makes the cookie none.
func parseOwnFlows(text string) (own []ownFlow, ok bool) {
	if text == "" {
		return nil, true
	}
	for entry := range strings.SplitSeq(text, ".") {
		switch {
		case !isToken(entry) || len(own) == maxOwnFlows:
			return nil, false
		case len(entry) == ownerLen+stateDigestLen:
			own = append(own, ownFlow{owner: entry[:ownerLen], stateDigest: entry[ownerLen:]})
		case len(entry) == ownerLen+stateLen:
			back := entry[ownerLen:]
			own = append(own, ownFlow{owner: entry[:ownerLen], stateDigest: shortDigest(stateDigestLen, back), state: back})
		default:
			return nil, false
		}
	}
	return own, true
}
