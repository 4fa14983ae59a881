// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
)

// parameter is a name and a value, decoded.
type parameter struct{ name, value string }

// signatureBase is what is signed (RFC 5849 section 3.4.1): the method, the address
// without its query, and all parameters but realm and oauth_signature.
func signatureBase(method, address string, all []parameter) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Host)
	scheme := strings.ToLower(u.Scheme)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	var pairs []string
	for _, p := range all {
		if p.name != "realm" && p.name != "oauth_signature" {
			pairs = append(pairs, percent(p.name)+"="+percent(p.value))
		}
	}
	// By encoded name, then by encoded value: "=" would sort before some characters
	// of a longer name, so the two are compared apart.
	slices.SortFunc(pairs, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if n := strings.Compare(an, bn); n != 0 {
			return n
		}
		return strings.Compare(av, bv)
	})
	return strings.ToUpper(method) + "&" + percent(scheme+"://"+host+path) + "&" + percent(strings.Join(pairs, "&"))
}

// sign signs a base string (RFC 5849 section 3.4.2).
func sign(way, base, consumerSecret, tokenSecret string) string {
	var h func() hash.Hash
	switch way {
	case "HMAC-SHA1":
		h = sha1.New
	case "HMAC-SHA256":
		h = sha256.New
	default:
		return ""
	}
	mac := hmac.New(h, []byte(percent(consumerSecret)+"&"+percent(tokenSecret)))
	_, _ = mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// percent encodes all but unreserved characters (RFC 5849 section 3.6), which is not
// what forms do.
func percent(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// parseForm reads a query or a form's body as it was sent, in order.
func parseForm(text string) (all []parameter, err error) {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		p := parameter{}
		var err1, err2 error
		p.name, err1 = url.QueryUnescape(name)
		p.value, err2 = url.QueryUnescape(value)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// parseAuthorization reads the header (RFC 5849 section 3.5.1).
func parseAuthorization(header string) (all []parameter, err error) {
	for pair := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
			return nil, errors.New(`Authorization has a part that is not name="value"`)
		}
		p := parameter{}
		var err1, err2 error
		p.name, err1 = url.PathUnescape(name)
		p.value, err2 = url.PathUnescape(value[1 : len(value)-1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
