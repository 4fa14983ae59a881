// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"crypto/rand"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// FormType is the media type of a body whose fields are signed.
const FormType = "application/x-www-form-urlencoded"

// Client is an application at a vendor: the "consumer" of older texts.
type Client struct {
	ID     string
	Secret delegation.Secret
	Method Method
	// InQuery has the protocol parameters in the query and not in the header
	// Authorization (RFC 5849 section 3.5.3), for vendors that do not read that.
	InQuery bool
	// Clock gives the timestamps.
	Clock *Clock
}

// Token are credentials, temporary or a person's; zero for the request that asks for
// temporary ones.
type Token struct{ Value, Secret delegation.Secret }

// Sign signs a request (RFC 5849 section 3.1) with a new nonce and timestamp. It has
// to be the last change of the request: method, host, path, query and the fields of a
// form are signed. protocol are the further protocol parameters, such as
// oauth_callback. A form has to have GetBody. The error is [ErrParameters], or that
// of reading the form.
func (c *Client) Sign(req *http.Request, t Token, protocol ...Parameter) error {
	parameters := append([]Parameter{
		{"oauth_consumer_key", c.ID},
		{"oauth_nonce", rand.Text()},
		{"oauth_signature_method", string(c.Method)},
		{"oauth_timestamp", strconv.FormatInt(c.Clock.Timestamp(), 10)},
		{"oauth_version", "1.0"},
	}, protocol...)
	if token := t.Value.Reveal(); token != "" {
		parameters = append(parameters, Parameter{"oauth_token", token})
	}
	return c.sign(req, t.Secret, parameters)
}

// sign signs a request with all of its protocol parameters but the signature.
func (c *Client) sign(req *http.Request, secret delegation.Secret, protocol []Parameter) error {
	query, err := ParseParameters(req.URL.RawQuery)
	if err != nil {
		return err
	}
	form, err := readForm(req)
	if err != nil {
		return err
	}
	signed := make([]Parameter, 0, len(protocol)+len(query)+len(form))
	signed = append(append(append(signed, protocol...), query...), form...)
	protocol = append(protocol, Parameter{"oauth_signature", c.Method.sign(baseString(req, signed), c.Secret, secret)})
	if c.InQuery {
		delete(req.Header, "Authorization")
		req.URL.RawQuery = appendQuery(req.URL.RawQuery, protocol)
		return nil
	}
	req.Header["Authorization"] = []string{authorization(protocol)}
	return nil
}

// IsForm reports whether a request's body is one whose fields are signed (RFC 5849
// section 3.4.1.3.1).
func IsForm(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return false
	}
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return err == nil && kind == FormType
}

// readForm returns the fields of a form.
func readForm(req *http.Request) ([]Parameter, error) {
	if !IsForm(req) {
		return nil, nil
	}
	if req.GetBody == nil {
		return nil, fmt.Errorf("a form that is not in memory cannot be signed")
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	return ParseParameters(string(text))
}

// authorization returns the header's value (RFC 5849 section 3.5.1).
func authorization(protocol []Parameter) string {
	var b strings.Builder
	b.Grow(384)
	b.WriteString("OAuth ")
	for i, p := range protocol {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(encode(p.Name))
		b.WriteString(`="`)
		b.WriteString(encode(p.Value))
		b.WriteByte('"')
	}
	return b.String()
}

// appendQuery returns a raw query with parameters behind it.
func appendQuery(raw string, parameters []Parameter) string {
	var b strings.Builder
	b.Grow(len(raw) + 384)
	b.WriteString(raw)
	for _, p := range parameters {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(encode(p.Name))
		b.WriteByte('=')
		b.WriteString(encode(p.Value))
	}
	return b.String()
}
