// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"strings"
)

// maxChunks is more pieces of 4 KiB than make up a credential.
const maxChunks = 16

// cookieValues are what the Cookie headers of a request hold of one name.
type cookieValues struct {
	value       string // of the cookie itself
	occurrences int    // how often it stands there
	all         int    // cookies of the request, as net/http counts them
	cookieChunks
}

// cookieChunks are the cookies NAME.0, NAME.1 and so on. Browsers keep no cookie above
// 4 KiB, and Auth.js, Auth0's and Supabase's libraries cut longer ones.
type cookieChunks struct {
	found   bool
	values  [maxChunks]string
	counts  [maxChunks]int
	tooMany bool // one has a number that is too high
}

// cookies finds the cookie and its pieces in all Cookie headers: HTTP/2 may split
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

// add adds a piece, if the number is written as one: 01 and +1 are other names.
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

// joinChunks makes one credential of pieces. It counts only where the cookie itself is
// missing, as for the libraries that cut them. All of them have to be there: what
// is left of a longer session is another text, and nobody's.
func (c Extractor) joinChunks(p cookieValues) (Credential, error) {
	if p.tooMany {
		return Credential{}, refuse("the cookie " + c.Cookie + " is in too many pieces")
	}
	var text, header strings.Builder
	ended := false
	for n, value := range p.values {
		switch {
		case p.counts[n] > 1:
			return Credential{}, refuse("a piece of the cookie " + c.Cookie + " stands in the request more than once")
		case p.counts[n] == 0:
			ended = true
			continue
		case ended:
			return Credential{}, refuse("a piece of the cookie " + c.Cookie + " is missing")
		}
		if n > 0 {
			header.WriteString("; ")
		}
		header.WriteString(c.Cookie + "." + strconv.Itoa(n) + "=" + value)
		text.WriteString(unquote(value))
	}
	return c.fromCookie(text.String(), func() string { return header.String() }, true)
}

// fromCookie makes a credential of a cookie's value without its quotes. came tells the
// Cookie header that has brought it, which is kept if it is not the plain one.
func (c Extractor) fromCookie(text string, came func() string, pieces bool) (Credential, error) {
	if len(text) > 2*maxCredential { // base64 and percent signs are longer than what they stand for
		return Credential{}, refuse("the session is too long")
	}
	if c.JSONPath != "" {
		inner, err := jsonCookieValue(text, c.JSONPath)
		if err != nil {
			return Credential{}, refuse("the cookie " + c.Cookie + ": " + err.Error())
		}
		return validate(inner, InCookie) // who is asked is sent the session alone
	}
	token, wrapped := bearerToken(text)
	if wrapped {
		text = token
	}
	credential, err := validate(text, InCookie)
	if err != nil {
		return Credential{}, err
	}
	if wrapped || pieces {
		credential.CookieHeader = came()
	}
	return credential, nil
}

// cookieHeader is the Cookie header that carries a credential to the app that has set
// the cookie.
func (c Credential) cookieHeader(name string) string {
	if c.CookieHeader != "" {
		return c.CookieHeader
	}
	return name + "=" + c.Text
}
