// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"strings"
)

// maxChunks is how many chunks a cookie may have: with 4 KiB each more than make up
// a credential.
const maxChunks = 16

// cookieValues is what the Cookie headers of a request have of one name.
type cookieValues struct {
	value       string // of the cookie itself
	occurrences int    // how often it stands there
	all         int    // cookies of the request, as net/http counts them
	cookieChunks
}

// cookieChunks are the cookies NAME.0, NAME.1 and so on, into which the libraries of
// Auth.js, Auth0 and Supabase split a value above 4 KiB, which browsers do not keep.
type cookieChunks struct {
	found   bool
	values  [maxChunks]string
	counts  [maxChunks]int
	tooMany bool // one has a number that is too high
}

// cookies returns the cookie and its chunks of all Cookie headers: HTTP/2 may split
// them (RFC 9113 section 8.2.3). Only space and tab are trimmed: other blanks are
// part of a name here, while servers that take them for blanks see a name twice.
func (c Extractor) cookies(lines []string) (found cookieValues) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			found.all++
			// Without = it is a name to some, a value to others: empty, then.
			name, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			suffix, ok := strings.CutPrefix(strings.Trim(name, " \t"), c.Cookie)
			switch {
			case !ok:
			case suffix == "":
				found.value, found.occurrences = v, found.occurrences+1
			case suffix[0] == '.':
				found.add(suffix[1:], v)
			}
		}
	}
	return found
}

// add adds a chunk by its number in decimal; 01 and +1 are the names of others.
func (p *cookieChunks) add(number, value string) {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != number {
		return
	}
	p.found = true
	if n >= maxChunks {
		p.tooMany = true
		return
	}
	p.values[n], p.counts[n] = value, p.counts[n]+1
}

// joinChunks returns the credential that chunks make up. They are read only where
// the cookie itself is missing, as by the libraries that split it. A refusal if one
// is missing or there twice: the rest would be another text, perhaps another session.
func (c Extractor) joinChunks(p cookieValues) (Credential, error) {
	if p.tooMany {
		return Credential{}, refuseCredential("the cookie " + c.Cookie + " is in too many pieces")
	}
	var text, header strings.Builder
	ended := false
	for n, value := range p.values {
		switch {
		case p.counts[n] > 1:
			return Credential{}, refuseCredential("a piece of the cookie " + c.Cookie + " stands in the request more than once")
		case p.counts[n] == 0:
			ended = true
			continue
		case ended:
			return Credential{}, refuseCredential("a piece of the cookie " + c.Cookie + " is missing")
		}
		if n > 0 {
			header.WriteString("; ")
		}
		header.WriteString(c.Cookie + "." + strconv.Itoa(n) + "=" + value)
		text.WriteString(unquoteCookie(value))
	}
	return c.fromCookie(text.String(), func() string { return header.String() }, true)
}

// fromCookie returns the credential of a cookie's value without its quotes. header
// returns the part of the Cookie header that it came by.
func (c Extractor) fromCookie(text string, header func() string, chunks bool) (Credential, error) {
	if len(text) > 2*maxCredential { // base64 and percent signs are longer than what they stand for
		return Credential{}, refuseCredential("the session is too long")
	}
	if c.JSONPath != "" {
		inner, err := jsonCookieValue(text, c.JSONPath)
		if err != nil {
			return Credential{}, refuseCredential("the cookie " + c.Cookie + ": " + err.Error())
		}
		return validate(inner, InCookie) // no server is sent the cookie
	}
	token, wrapped := bearerToken(text)
	if wrapped {
		text = token
	}
	credential, err := validate(text, InCookie)
	if err != nil {
		return Credential{}, err
	}
	if wrapped || chunks {
		credential.CookieHeader = header()
	}
	return credential, nil
}

// cookieHeader returns the Cookie header by which the app that has set the cookie
// receives the credential.
func (c Credential) cookieHeader(name string) string {
	if c.CookieHeader != "" {
		return c.CookieHeader
	}
	return name + "=" + c.Text
}
