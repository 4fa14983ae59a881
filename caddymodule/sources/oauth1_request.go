// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

var (
	errSignedQuery     = errors.New("space, control character or # in the query")
	errSignedParameter = errors.New("a parameter of the request is one by which OAuth names a token or a signature: leave it out, requests are signed on their way")
	errSignedForm      = errors.New("the Content-Type cannot be told from that of a form, whose fields are signed: send application/x-www-form-urlencoded, or another type once")
	errMultipart       = errors.New("the fields of multipart/form-data are not signed (RFC 5849 section 3.4.1.3.1), so that one could name another token: send JSON or application/x-www-form-urlencoded")
)

// checkSignable refuses a request that a vendor may read in another way than it is
// signed. What a client sends by a name of the protocol's is refused and not dropped:
// a vendor that looks for the token in the query before the header, or merges both,
// would act for whoever the client names, with a signature made for somebody else.
func checkSignable(out *http.Request) error {
	for _, c := range []byte(out.URL.RawQuery) {
		if c <= ' ' || c == 0x7f || c == '#' { // some servers end the query there
			return delegation.Refuse(delegation.PathAmbiguous, errSignedQuery)
		}
	}
	if err := checkParameters(out.URL.RawQuery); err != nil {
		return err
	}
	if err := checkSignedBody(out); err != nil {
		return err
	}
	out.Trailer = nil // which some servers merge into the headers
	return nil
}

// checkSignedBody refuses a body whose fields a server could read and that is not
// signed, or that cannot be.
func checkSignedBody(out *http.Request) error {
	if out.Body == nil || out.Body == http.NoBody {
		return nil
	}
	types := out.Header["Content-Type"]
	for _, kind := range types {
		// PHP compares without case, and only up to the first ";", "," or space.
		switch kind = strings.ToLower(kind); {
		case strings.Contains(kind, "multipart/"):
			return delegation.Refuse(delegation.RouteDenied, errMultipart)
		case strings.Contains(kind, "form-urlencoded") && (len(types) > 1 || !oauth1.IsForm(out)):
			return delegation.Refuse(delegation.RouteDenied, errSignedForm)
		}
	}
	if strings.TrimSpace(strings.Join(types, "")) == "" {
		// A server would guess (RFC 9110 section 8.3), as CGI does that it is a form.
		out.Header["Content-Type"] = []string{"application/octet-stream"}
	}
	if !oauth1.IsForm(out) {
		return nil
	}
	if out.GetBody == nil {
		return delegation.Refuse(delegation.BodyTooLarge, fmt.Errorf("the fields of a form are signed: it may have at most %d bytes, and has to have Content-Length", replay.MaxSize))
	}
	body, err := out.GetBody()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	form, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return checkParameters(string(form))
}

// checkParameters refuses parameters that are the protocol's, or that cannot be read
// in one way.
func checkParameters(raw string) error {
	all, err := oauth1.ParseParameters(raw)
	if err != nil {
		return delegation.Refuse(delegation.PathAmbiguous, err)
	}
	for _, p := range all {
		if isProtocolName(p.Name) {
			return delegation.Refuse(delegation.RouteDenied, errSignedParameter)
		}
	}
	return nil
}

// isProtocolName reports whether a server could read the name of a parameter as one of
// OAuth's: oauth_token and its like, or access_token of OAuth 2.0 (RFC 6750 section
// 2.3). PHP reads "oauth.token" and "oauth[token" as oauth_token, a gateway may
// decode once more, and some compare without case.
func isProtocolName(name string) bool {
	for range 3 {
		name, _, _ = strings.Cut(name, "\x00")
		plain := strings.Map(func(r rune) rune {
			switch {
			case r == ' ', r == '.', r == '+', r == '[':
				return '_'
			case r == '\u017f': // the long s, which folds to s
				return 's'
			case r == '\u212a': // the Kelvin sign, which folds to k
				return 'k'
			case 'A' <= r && r <= 'Z':
				return r | 0x20
			default:
				return r
			}
		}, strings.TrimLeft(name, " +\t\r\n"))
		if strings.HasPrefix(plain, "oauth_") || plain == "access_token" || strings.HasPrefix(plain, "access_token_") {
			return true
		}
		decoded, err := url.QueryUnescape(name)
		if err != nil || decoded == name {
			return false
		}
		name = decoded
	}
	return false
}
