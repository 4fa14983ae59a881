// SPDX-License-Identifier: Apache-2.0

package headers

import "strings"

// nameSet is a list of folded header names and of beginnings of such names.
type nameSet struct {
	exact    map[string]struct{}
	prefixes []string
}

func newNameSet(exact string, prefixes ...string) nameSet {
	s := nameSet{exact: make(map[string]struct{}), prefixes: prefixes}
	for name := range strings.FieldsSeq(exact) {
		s.exact[name] = struct{}{}
	}
	return s
}

// maxListedName is more than the longest listed name. What is cut off a longer name
// cannot matter to a prefix.
const maxListedName = 48

// contains reports whether the list covers a name in any spelling. Servers that
// hand headers on as environment variables (CGI, WSGI, FastCGI) turn every
// byte but letters and digits into the same separator, so that X_Real_IP and
// X.Real.IP become X-Real-IP behind the one who checked the name.
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

// skipRules tells whether a name is one of those that most requests have and that
// no rule here is about. It spares them the rules.
func skipRules(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Length", "Content-Type",
		"If-Match", "If-Modified-Since", "If-None-Match":
		return true
	default:
		return false
	}
}

// forbiddenInRequest are request headers that do not cross whoever set them.
var forbiddenInRequest = newNameSet(
	// Who the user is here says nothing to the platform, and is nobody's business there.
	`authorization cookie cookie2 origin referer host
	 x-csrf-token x-xsrf-token`+
		// Where the request came from: the platform would log the user's address.
		` forwarded via from client-ip true-client-ip cf-connecting-ip fastly-client-ip
	 x-client-ip x-cluster-client-ip x-real-ip x-remote-ip x-remote-addr x-originating-ip`+
		// One connection only (RFC 9110 section 7.6.1). Connection, TE and
		// Upgrade are set anew where they may stand.
		` connection keep-alive te trailer transfer-encoding upgrade http2-settings`+
		// Whether a request is early data is settled before it is forwarded.
		` early-data`,
	"proxy-", "sec-", "x-forwarded",
	// They make a server act on another method or URL than was authorised.
	"x-http-method", "x-method-override", "x-original-", "x-rewrite-", "x-middleware-",
)

// webSocketRequest are the headers of a handshake (RFC 6455), the one kind of Sec-*
// that crosses, and only with an allowed upgrade.
var webSocketRequest = newNameSet("sec-websocket-key sec-websocket-version sec-websocket-protocol sec-websocket-extensions")

// lettersAndHyphens reports whether a name consists of letters and hyphens.
func lettersAndHyphens(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && name[i] != '-' {
			return false
		}
	}
	return true
}
