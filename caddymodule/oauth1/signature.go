// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what RFC 5849 has; the weakness of SHA-1 does not touch an HMAC (RFC 6194 section 3.3)
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Method is a signature method.
type Method string

// The signature methods. That of SHA-256 is in no RFC; vendors that have it do as
// RFC 5849 section 3.4.2 with the other hash.
const (
	HMACSHA1   Method = "HMAC-SHA1"
	HMACSHA256 Method = "HMAC-SHA256"
)

// sign returns the signature of a signature base string (RFC 5849 section 3.4.2).
func (m Method) sign(base string, client, token delegation.Secret) string {
	newHash := func() hash.Hash { return sha1.New() } //nolint:gosec // see the import
	if m == HMACSHA256 {
		newHash = sha256.New
	}
	mac := hmac.New(newHash, []byte(encode(client.Reveal())+"&"+encode(token.Reveal())))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// baseString returns the text that is signed (RFC 5849 section 3.4.1.1).
func baseString(req *http.Request, parameters []Parameter) string {
	return encode(strings.ToUpper(req.Method)) + "&" + encode(baseURI(req)) + "&" + encode(normalize(parameters))
}

// baseURI returns the address without its query as RFC 5849 section 3.4.1.2 writes
// it: scheme and host in lower case, the host as the request names it, and the
// port only if it is not the scheme's own. The path is as it is sent.
func baseURI(req *http.Request) string {
	scheme, host := strings.ToLower(req.URL.Scheme), req.Host
	if host == "" {
		host = req.URL.Host
	}
	host = strings.ToLower(host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/" // as it is sent (RFC 9112 section 3.2.1)
	}
	return scheme + "://" + host + path
}
