// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"slices"
	"strings"
)

// Covered reports whether the granted scopes, or those of a ceiling, permit what a
// needed scope names. [CoversEqual] compares texts. [CoversSMART] compares what the
// scopes of a FHIR server permit: such a server may answer with a wider scope than
// the asked one, or with the same split into several, and older ones answer `.read`
// to `.rs` (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"). Whatever
// cannot be read as such a scope is covered by an equal text only.
func (c Covers) Covered(granted []string, needed string) bool {
	if slices.Contains(granted, needed) {
		return true
	}
	if c != CoversSMART {
		return false
	}
	if opensNoResource(needed) {
		return true
	}
	need, ok := parseFHIRScope(needed)
	if !ok {
		return false
	}
	for _, text := range granted {
		if grant, ok := parseFHIRScope(text); ok && grant.reaches(need) {
			need.interactions &^= grant.interactions
		}
	}
	return need.interactions == 0
}

// Missing returns the needed scopes that the granted ones do not cover, in their
// order; nil if there are none.
func (c Covers) Missing(granted, needed []string) []string {
	var missing []string
	for _, scope := range needed {
		if !c.Covered(granted, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// opensNoResource reports whether a scope is about the launch, the sign-in or the
// refresh token: no data call needs it, and servers leave it out of what they say is
// granted.
func opensNoResource(scope string) bool {
	switch scope {
	case "launch", "openid", "fhirUser", "profile", "offline_access", "online_access":
		return true
	}
	return strings.HasPrefix(scope, "launch/")
}

// fhirScope is a scope of FHIR resources, such as patient/Observation.rs.
type fhirScope struct {
	context      string // patient, user or system: none of them includes another
	resource     string // the resource's type; "*": any
	interactions uint8  // one bit for each letter of [interactionLetters]
	// filters are search parameters, such as category=laboratory: what the scope
	// permits has all of them.
	filters []string
}

// interactionLetters are the interactions of a scope in the order in which a scope
// has to name them: create, read, update, delete, search.
const interactionLetters = "cruds"

// parseFHIRScope returns the scope of a text in the syntax of SMART App Launch 2 or
// 1. ok is false if it is in neither.
func parseFHIRScope(text string) (s fhirScope, ok bool) {
	text, query, filtered := strings.Cut(text, "?")
	var rest, interactions string
	if s.context, rest, ok = strings.Cut(text, "/"); !ok {
		return s, false
	}
	switch s.context {
	case "patient", "user", "system":
	default:
		return s, false
	}
	if s.resource, interactions, ok = strings.Cut(rest, "."); !ok || !isResourceType(s.resource) {
		return s, false
	}
	if s.interactions, ok = parseInteractions(interactions, filtered); !ok {
		return s, false
	}
	if filtered {
		s.filters = strings.Split(query, "&")
		if slices.ContainsFunc(s.filters, func(f string) bool { return !strings.Contains(f, "=") }) {
			return s, false
		}
	}
	return s, true
}

// isResourceType reports whether a text is the name of a FHIR resource's type, or *.
func isResourceType(text string) bool {
	if text == "*" {
		return true
	}
	for _, c := range []byte(text) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return text != ""
}

// parseInteractions returns the bits of interactions such as rs, or read of SMART App
// Launch 1, which has no filters.
func parseInteractions(text string, filtered bool) (bits uint8, ok bool) {
	if !filtered {
		switch text {
		case "read":
			text = "rs"
		case "write":
			text = "cud"
		case "*":
			text = interactionLetters
		}
	}
	last := -1
	for _, c := range text {
		i := strings.IndexRune(interactionLetters, c)
		if i <= last { // unknown, twice, or out of order
			return 0, false
		}
		bits |= 1 << i
		last = i
	}
	return bits, bits != 0
}

// reaches reports whether s, apart from its interactions, permits at least what need
// names. A filter of s that need does not have narrows s, so that it permits less.
func (s fhirScope) reaches(need fhirScope) bool {
	if s.context != need.context || s.resource != "*" && s.resource != need.resource {
		return false
	}
	for _, filter := range s.filters {
		if !slices.Contains(need.filters, filter) {
			return false
		}
	}
	return true
}
