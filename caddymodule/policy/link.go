// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// linkParameters are those of a link that may stay (RFC 8288 section 3.4, and
// what HTML adds for a preload). Others name further addresses: anchor and
// imagesrcset.
var linkParameters = map[string]bool{
	"rel": true, "type": true, "title": true, "title*": true, "hreflang": true, "media": true, "as": true, "crossorigin": true,
}

// LocalLinks returns the values of a Link header whose addresses are the
// platform's, as [Mount.Local] makes them this server's: a browser that
// preloads or connects as it is told must not be led elsewhere, nor a client
// that turns pages. All others are left out, as is what cannot be read.
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

// linkValue is one value of a Link header.
type linkValue struct {
	target, parameters string
	allowed            bool // it has only parameters that may stay
}

// nextLink reads the first link of a list. It fails where the header is not as
// RFC 8288 section 3 has it.
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

// endOfParameters is where the parameters end: at a comma that is not in quotes; -1
// if a quote is open.
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

// afterValue is what follows a token or a quoted string.
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
