// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ownFlow is a flow that the browser has begun.
type ownFlow struct {
	// ownerTag tells the users of one browser apart. It is too short to identify a
	// person.
	ownerTag string
	// stateDigest recognises the state, which the browser does not have before it
	// is back.
	stateDigest string
	// state is the state that the browser has come back with; empty before.
	state string
}

// The lengths of a flow's parts in the cookie, in characters. A state is as long
// as [rand.Text] makes it.
const ownerTagLen, stateDigestLen, stateLen = 5, 8, 26

// shortDigest returns the beginning of the SHA-256 of the parts, in base32.
func shortDigest(length int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:length]
}

// ownerTag returns the tag of a person in this browser's cookie.
func (c *Cookie) ownerTag(p delegation.Person) string {
	return shortDigest(ownerTagLen, c.BrowserToken, p.Realm, p.Subject)
}

func (f ownFlow) hasState(state string) bool {
	return f.stateDigest == shortDigest(stateDigestLen, state)
}

// AddOwn keeps a flow that a person has just begun in this browser. Of its state
// only a digest is kept.
func (c *Cookie) AddOwn(p delegation.Person, state string) {
	c.ownFlows = append([]ownFlow{{ownerTag: c.ownerTag(p), stateDigest: shortDigest(stateDigestLen, state)}}, c.ownFlows...)
	c.evict()
}

// MarkReturned keeps the state that the browser has come back with, if it is that
// of a flow which it has begun, and tells whether it is.
func (c *Cookie) MarkReturned(state string) bool {
	for i, f := range c.ownFlows {
		if f.hasState(state) {
			c.ownFlows[i].state = state
			return true
		}
	}
	return false
}

// evict drops flows beyond maxOwnFlows: the oldest one of the person who has most,
// and rather one that the browser has not come back from. Of two people with as
// many it is not the one who has just begun a flow. So neither another user of the
// browser nor an abandoned tab takes the place of a flow that waits for the
// platform.
func (c *Cookie) evict() {
	for len(c.ownFlows) > maxOwnFlows {
		count := make(map[string]int)
		most := c.ownFlows[len(c.ownFlows)-1].ownerTag
		for _, f := range slices.Backward(c.ownFlows) {
			if count[f.ownerTag]++; count[f.ownerTag] > count[most] {
				most = f.ownerTag
			}
		}
		last := -1
		for i, f := range c.ownFlows {
			if f.ownerTag == most && (last < 0 || f.state == "" || c.ownFlows[last].state != "") {
				last = i
			}
		}
		c.ownFlows = slices.Delete(slices.Clone(c.ownFlows), last, last+1)
	}
}

// returnedStates returns the states of a person's flows that the browser has come
// back from.
func (c *Cookie) returnedStates(p delegation.Person) []string {
	var states []string
	for _, f := range c.ownFlows {
		if f.state != "" && f.ownerTag == c.ownerTag(p) {
			states = append(states, f.state)
		}
	}
	return states
}

// formatOwnFlows writes flows behind a "~". Each is its owner's tag and its state,
// or the state's digest before the browser is back.
func formatOwnFlows(flows []ownFlow) string {
	var b strings.Builder
	for i, f := range flows {
		b.WriteByte("~."[min(i, 1)])
		b.WriteString(f.ownerTag)
		if f.state != "" {
			b.WriteString(f.state)
		} else {
			b.WriteString(f.stateDigest)
		}
	}
	return b.String()
}

// parseOwnFlows reads what formatOwnFlows has written behind the "~". ok is false
// for anything else.
func parseOwnFlows(text string) (flows []ownFlow, ok bool) {
	if text == "" {
		return nil, true
	}
	for entry := range strings.SplitSeq(text, ".") {
		switch {
		case !IsToken(entry) || len(flows) == maxOwnFlows:
			return nil, false
		case len(entry) == ownerTagLen+stateDigestLen:
			flows = append(flows, ownFlow{ownerTag: entry[:ownerTagLen], stateDigest: entry[ownerTagLen:]})
		case len(entry) == ownerTagLen+stateLen:
			state := entry[ownerTagLen:]
			flows = append(flows, ownFlow{ownerTag: entry[:ownerTagLen], stateDigest: shortDigest(stateDigestLen, state), state: state})
		default:
			return nil, false
		}
	}
	return flows, true
}
