// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// prefixing is a homemade callback that looks for the hash in the header with
// Caddy's own matcher, among all values, without an end.
func prefixing() string {
	return `
	@told header Authentication *` + mydex.Hash(mydexToken) + `*
	respond @told 204
	respond 403`
}

// TestT44_MydexNearMisses protects the callback, whose one proof is a header
// that is the same each time: what is nearly that value, stands elsewhere, or
// stands there beside another, is none. (That it is compared in constant time
// is not visible from outside; here it is compared whole.) The homemade
// callback takes several of them.
func TestT44_MydexNearMisses(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", prefixing()))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	hash := mydex.Hash(mydexToken)
	flip := func(i int) string {
		b := []byte(hash)
		b[i] ^= 1
		return string(b)
	}
	raw, err := hex.DecodeString(hash)
	if err != nil {
		t.Fatal(err)
	}
	form := func(more string) string { return j.callbackForm(robin) + more }
	const header = "Authentication: "
	taken := 0
	for what, lines := range map[string][]string{
		"nothing":              nil,
		"empty":                {header},
		"the beginning":        {header + hash[:127]},
		"the half":             {header + hash[:64]},
		"the end":              {header + hash[1:]},
		"one digit more":       {header + hash + "0"},
		"zero before":          {header + "0" + hash},
		"the first other":      {header + flip(0)},
		"one in the middle":    {header + flip(64)},
		"the last other":       {header + flip(127)},
		"upper case":           {header + strings.ToUpper(hash)},
		"one upper-case digit": {header + upperOne(hash)},
		"quoted":               {header + `"` + hash + `"`},
		"a no-break space":     {header + hash + "\u00a0"},
		"as a parameter":       {header + "token=" + hash},
		"with a scheme":        {header + "Bearer " + hash},
		"a comment behind":     {header + hash + " (x)"},
		"with a semicolon":     {header + hash + ";"},
		"escaped":              {header + "%" + hex.EncodeToString([]byte(hash[:1])) + hash[1:]},
		"base64":               {header + base64.StdEncoding.EncodeToString(raw)},
		"twice":                {header + hash, header + hash},
		"twice, odd case":      {header + hash, "aUTHENTICATION: " + hash},
		"beside a wrong one":   {header + hash, header + flip(0)},
		"behind a wrong one":   {header + flip(0), header + hash},
		"beside an empty one":  {header, header + hash},
		"a list of it":         {header + hash + "," + hash},
		"a list with another":  {header + flip(0) + ", " + hash},
		"folded":               {header + hash[:64] + "\r\n " + hash[64:]},
		"the token itself":     {header + mydexToken},
		"another token's":      {header + mydex.Hash(mydexToken+" ")},
		"its hash":             {header + mydex.Hash(hash)},
		"the member key":       {header + robin.Key},
		"the linking token":    {header + j.link},
		"as Authorization":     {"Authorization: " + hash},
		"as Bearer":            {"Authorization: Bearer " + hash},
		"as a proxy's":         {"Proxy-Authorization: " + hash},
		"with an underscore":   {"Authentication_: " + hash},
		"another prefix":       {"X-Authentication: " + hash},
		"its info":             {"Authentication-Info: " + hash},
		"in a cookie":          {"Cookie: Authentication=" + hash},
	} {
		j.wantNoEffect(what, func() {
			if got := m.do("POST", callback, form(""), append(lines, formType)...); got.status != http.StatusForbidden {
				t.Errorf("%s: %d", what, got.status)
			}
		})
		if m.askHome("POST", "/", append(lines, "Content-Length: 0")...).status == http.StatusNoContent {
			taken++
		}
	}
	if taken < 8 {
		t.Errorf("control: the homemade callback takes only %d", taken)
	}
	for what, ask := range map[string]func() reply{
		"in the query":   func() reply { return m.do("POST", callback+"?Authentication="+hash, form(""), formType) },
		"in the body":    func() reply { return m.do("POST", callback, form("&Authentication="+hash), formType) },
		"in the address": func() reply { return m.do("POST", m.URL()+callback+"?authentication="+hash, form(""), formType) },
		"in a trailer": func() reply {
			return m.send(http1("POST", callback, m.authority(false), formType, "Transfer-Encoding: chunked", "Trailer: Authentication") + chunk(form("")) + "0\r\nAuthentication: " + hash + "\r\n\r\n")
		},
		"in an unannounced trailer": func() reply {
			return m.send(http1("POST", callback, m.authority(false), formType, "Transfer-Encoding: chunked") + chunk(form("")) + "0\r\nAuthentication: " + hash + "\r\n\r\n")
		},
		"as Basic": func() reply {
			return m.do("POST", callback, form(""), "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("Authentication:"+hash)), formType)
		},
	} {
		j.wantNoEffect(what, func() {
			if got := ask(); got.status != http.StatusForbidden {
				t.Errorf("%s: %d", what, got.status)
			}
		})
	}
	// What no header may hold is refused before.
	for what, line := range map[string]string{
		"NUL behind": header + hash + "\x00", "NUL within": header + hash[:64] + "\x00" + hash[64:], "DEL": header + hash + "\x7f", "VT": header + "\v" + hash, "FF": header + hash + "\f",
		"a blank before the colon": "Authentication : " + hash, "a tab before it": "Authentication\t: " + hash, "CR within": header + hash[:64] + "\r" + hash[64:],
	} {
		j.wantNoEffect(what, func() {
			m.malformed(what, func() reply { return m.do("POST", callback, form(""), line, formType) })
		})
	}
	// Blanks around a value are none of it (RFC 9110 section 5.5).
	if got := m.do("POST", callback, form(""), "authentication:\t "+hash+" \t ", formType); got.status != http.StatusNoContent {
		t.Errorf("blanks around: %d", got.status)
	}
	j.wantConnected("alice", robin)
}

// upperOne has the first letter of a hash in upper case.
func upperOne(hash string) string {
	i := strings.IndexAny(hash, "abcdef")
	return hash[:i] + strings.ToUpper(hash[i:i+1]) + hash[i+1:]
}

// TestT44_MydexNearMissesOverHTTP2 protects against the same where values are
// binary and come in any order.
func TestT44_MydexNearMissesOverHTTP2(t *testing.T) {
	m := startMydex(t, encryptedMydex(mydexCaddyfile("", prefixing())))
	j := m.startConnect(connects[0], "alice")
	hash := mydex.Hash(mydexToken)
	word := j.callbackForm(m.member(0))
	tell := func(more ...field) reply {
		return m.send2(m.http2Request("POST", callback, append(more, field{"content-type", "application/x-www-form-urlencoded"})...), word)
	}
	for what, fields := range map[string][]field{
		"nothing":        nil,
		"twice":          {{"authentication", hash}, {"authentication", hash}},
		"upper case":     {{"authentication", strings.ToUpper(hash)}},
		"blanks before":  {{"authentication", " " + hash}},
		"blanks behind":  {{"authentication", hash + " "}},
		"a tab behind":   {{"authentication", hash + "\t"}},
		"NUL behind":     {{"authentication", hash + "\x00"}},
		"CR LF":          {{"x-note", "a\r\nauthentication: " + hash}},
		"in the name":    {{"authentication: " + hash, "x"}},
		"odd case":       {{"Authentication", hash}},
		"in two halves":  {{"authentication", hash[:64]}, {"authentication", hash[64:]}},
		"a pseudo field": {{":authentication", hash}},
	} {
		j.wantNoEffect(what, func() { m.malformed(what, func() reply { return tell(fields...) }) })
	}
	if got := tell(field{"authentication", hash}); got.status != http.StatusNoContent {
		t.Errorf("the word of Mydex: %d", got.status)
	}
	j.wantConnected("alice", m.member(0))
}

// TestT44_MydexNearMissesOfTheAddress protects the callback's address, a
// segment that nobody can guess: what is nearly it is no address at all, and
// nobody learns by the answer how near they were.
func TestT44_MydexNearMissesOfTheAddress(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", `
	@told path /connect/mydex/callback/`+mydexSegment+`*
	respond @told 204
	respond 404`))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	const at, s = "/connect/mydex/callback/", mydexSegment
	taken := 0
	for _, target := range []string{
		at, strings.TrimSuffix(at, "/"), at + s[:19], at + s[1:], at + s + "0", at + "0" + s, at + strings.ToLower(s), at + strings.ToUpper(s[:15]) + strings.ToLower(s[15:]), at + s + "/", at + s + "/x", at + "x/" + s,
		at + s + ".json", at + s + ";x", at + s + "%20", at + "%20" + s, at + s + "+", at + s + "%00", at + s + "%2f", at + s + "%252f", at + "%2530" + s[1:], at + s + "%0d%0a", at + "?" + s, at + "?segment=" + s, at + "#" + s, at + "*",
		at + s + "/..", at + s + "/../" + s + "0", at + "../callback/" + s + "0", at + s + "\u00a0", at + s + "%c0%80", at + s[:19] + "%EF%BC%A4", at + "{env.MYDEX_CALLBACK}", at + url.PathEscape("{env.MYDEX_CALLBACK}"), at + mydex.Hash(mydexToken),
	} {
		j.wantNoEffect(target, func() {
			got := m.do("POST", target, j.callbackForm(robin), authentic(), formType)
			if got.status != http.StatusNotFound && got.status != http.StatusBadRequest || got.body != "" && got.code() == "" && got.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", target, got.status, got.body)
			}
		})
		if m.askHome("POST", target, "Content-Length: 0").status == http.StatusNoContent {
			taken++
		}
	}
	if taken < 8 {
		t.Errorf("control: the homemade callback is at only %d of them", taken)
	}
	// Nor does one method tell more than another, where the address is wrong.
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "XPOST"} {
		m.untouched(method, func() {
			if got := m.do(method, at+s[:19]+"d", "", authentic()); got.status != http.StatusNotFound || got.body != "" || got.header.Get("Allow") != "" {
				t.Errorf("%s: %d %s %v", method, got.status, got.body, got.header)
			}
		})
	}
	j.wantConnected("alice", robin)
}

// chunk is a body of one chunk, without the last one.
func chunk(body string) string {
	return strconv.FormatInt(int64(len(body)), 16) + "\r\n" + body + "\r\n"
}
