// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// linkParameters are the parameters that a link may keep (RFC 8288 section 3.4, and
// what HTML adds for a preload). Others hold further addresses: anchor and
// imagesrcset.
var linkParameters = map[string]bool{
	"rel": true, "type": true, "title": true, "title*": true, "hreflang": true, "media": true, "as": true, "crossorigin": true,
}

// LocalLinks returns the links of a platform's Link headers with their addresses
// made this server's by [Mount.LocalURL]. Links to elsewhere, and what cannot be
// read, are left out: a browser that preloads or connects as it is told must not
// be led away, nor a client that follows rel=next.
func (m Mount) LocalLinks(values []string) []string {
	var local []string
	for _, value := range values {
		for rest := value; rest != ""; {
			link, more, ok := nextLink(rest)
			if !ok {
				break
			}
			rest = more
			if to, ok := m.LocalURL(link.target); ok && link.allowed {
				local = append(local, "<"+to+">"+link.parameters)
			}
		}
	}
	return local
}

// linkValue is one link of a Link header.
type linkValue struct {
	target, parameters string
	allowed            bool // it has only linkParameters
}

// nextLink returns the first link of a header's list, and the rest. ok is false
// where the header does not follow RFC 8288 section 3.
func nextLink(list string) (l linkValue, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t,")
	if list, ok = strings.CutPrefix(list, "<"); !ok {
		return l, "", false
	}
	if l.target, list, ok = strings.Cut(list, ">"); !ok || strings.ContainsAny(l.target, `"<`) {
		return l, "", false
	}
	end := endOfParameters(list)
	if end < 0 {
		return l, "", false
	}
	l.parameters, rest = list[:end], list[end:]
	l.allowed = onlyAllowedParameters(l.parameters)
	return l, rest, true
}

// endOfParameters returns the index at which a link's parameters end, at a comma
// outside quotes; -1 if a quote is open.
func endOfParameters(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return i
		}
	}
	if quoted {
		return -1
	}
	return len(s)
}

// onlyAllowedParameters reports whether all parameters of a link are among
// linkParameters.
func onlyAllowedParameters(s string) bool {
	for s = strings.TrimSpace(s); s != ""; {
		if s[0] != ';' {
			return false
		}
		name, rest := strings.TrimLeft(s[1:], " \t"), ""
		if end := strings.IndexAny(name, "=; \t"); end >= 0 {
			name, rest = name[:end], name[end:]
		}
		if !linkParameters[strings.ToLower(name)] {
			return false
		}
		rest = strings.TrimLeft(rest, " \t")
		if value, ok := strings.CutPrefix(rest, "="); ok {
			rest = afterValue(strings.TrimLeft(value, " \t"))
		}
		s = strings.TrimLeft(rest, " \t")
	}
	return true
}

// afterValue returns what follows a token or a quoted string.
func afterValue(s string) string {
	if !strings.HasPrefix(s, `"`) {
		if end := strings.IndexByte(s, ';'); end >= 0 {
			return s[end:]
		}
		return ""
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[i+1:]
		}
	}
	return ""
}
