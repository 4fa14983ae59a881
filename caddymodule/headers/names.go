// SPDX-License-Identifier: Apache-2.0

package headers

import "strings"

// nameSet is a set of header names, of single ones and by prefix, in lower case
// with hyphens.
type nameSet struct {
	exact    map[string]struct{}
	prefixes []string
}

// newNameSet makes a set of the names in exact, separated by white space, and of
// the prefixes.
func newNameSet(exact string, prefixes ...string) nameSet {
	s := nameSet{exact: make(map[string]struct{}), prefixes: prefixes}
	for name := range strings.FieldsSeq(exact) {
		s.exact[name] = struct{}{}
	}
	return s
}

// maxListedName is more than the longest listed name and prefix have bytes.
const maxListedName = 48

// contains reports whether the set has a name, in any spelling: every byte but
// letters and digits counts as a hyphen. Servers that hand headers on as
// environment variables (CGI, WSGI, FastCGI) read X_Real_IP and X.Real.IP as
// X-Real-IP, and so would undo a check of the exact name.
func (s *nameSet) contains(name string) bool {
	var buf [maxListedName]byte
	n := min(len(name), maxListedName)
	for i := range n {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			buf[i] = c
		case 'A' <= c && c <= 'Z':
			buf[i] = c + 'a' - 'A'
		default:
			buf[i] = '-'
		}
	}
	for _, p := range s.prefixes {
		if n >= len(p) && string(buf[:len(p)]) == p {
			return true
		}
	}
	if len(name) > maxListedName {
		return false
	}
	_, ok := s.exact[string(buf[:n])]
	return ok
}

// skipRules reports whether a name is one of those that most requests have and
// that no rule is about, to save the rules' time.
func skipRules(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Length", "Content-Type",
		"If-Match", "If-Modified-Since", "If-None-Match":
		return true
	default:
		return false
	}
}

// forbiddenInRequest are the request headers that never reach the platform,
// set by the client, the proxy or the operator.
var forbiddenInRequest = newNameSet(
	// They hold the user's session of the app, or name the page the user is on.
	`authorization cookie cookie2 origin referer host
	 x-csrf-token x-xsrf-token`+
		// They hold the user's address, which the platform would log.
		` forwarded via from client-ip true-client-ip cf-connecting-ip fastly-client-ip
	 x-client-ip x-cluster-client-ip x-real-ip x-remote-ip x-remote-addr x-originating-ip`+
		// They are for one connection only (RFC 9110 section 7.6.1). Connection, TE
		// and Upgrade are set anew where they may stand.
		` connection keep-alive te trailer transfer-encoding upgrade http2-settings`+
		// Early data was decided on before the request is forwarded.
		` early-data`,
	"proxy-", "sec-", "x-forwarded",
	// They make a server act on another method or URL than was authorised.
	"x-http-method", "x-method-override", "x-original-", "x-rewrite-", "x-middleware-",
)

// webSocketRequest are the headers of a WebSocket handshake (RFC 6455 section
// 4.1). Of Sec-* only they reach the platform, and only with an allowed upgrade.
var webSocketRequest = newNameSet("sec-websocket-key sec-websocket-version sec-websocket-protocol sec-websocket-extensions")

// lettersAndHyphens reports whether a name consists of ASCII letters and hyphens
// only.
func lettersAndHyphens(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && name[i] != '-' {
			return false
		}
	}
	return true
}
