// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate returns the client that the request proves to come from. It must use
// one way only (RFC 6749 section 2.3), which is one of the vendor's.
func (c *call) authenticate() (Client, *tokenError) {
	id, way, proof := c.form.Get("client_id"), "none", ""
	ways := 0
	if h := c.Header.Get("Authorization"); h != "" {
		ways++
		way = "basic"
		var ok bool
		if id, proof, ok = basic(h); !ok {
			return Client{}, wrongClient("Authorization is no Basic")
		}
		if body := c.form.Get("client_id"); body != "" && body != id {
			return Client{}, wrongClient("client_id is not that of Authorization")
		}
	}
	if c.form.Has("client_secret") {
		ways++
		way, proof = "body", c.form.Get("client_secret")
	}
	if c.form.Has("client_assertion") || c.form.Has("client_assertion_type") {
		ways++
		way, proof = "private_key_jwt", c.form.Get("client_assertion")
	}
	if ways > 1 {
		return Client{}, &tokenError{http.StatusBadRequest, "invalid_request", "the client proves who it is in two ways"}
	}
	// Strava's token endpoint takes the body only, and its revocation is by Basic.
	if revoking := c.area == areaRevoke && (way == "basic" || way == "body"); !revoking && !slices.Contains(c.settings.ClientAuth, way) {
		return Client{}, wrongClient("the client proves who it is by " + way)
	}
	if way == "private_key_jwt" {
		return c.checkAssertion(proof, id)
	}
	client, ok := c.sim.client(id)
	switch {
	case !ok:
		return Client{}, wrongClient("there is no such client")
	case way == "none" && (client.Secret != "" || len(client.Keys.Keys) > 0):
		return Client{}, wrongClient("the client is not public and proves nothing")
	case way != "none" && (client.Secret == "" || subtle.ConstantTimeCompare([]byte(client.Secret), []byte(proof)) == 0):
		return Client{}, wrongClient("the client's secret is wrong")
	}
	return client, nil
}

func wrongClient(reason string) *tokenError {
	return &tokenError{http.StatusUnauthorized, "invalid_client", reason}
}

// basic reads the header, whose parts are encoded as in a form (RFC 6749 section
// 2.3.1).
func basic(header string) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	b, err := base64.StdEncoding.DecodeString(encoded)
	left, right, found := strings.Cut(string(b), ":")
	if !strings.EqualFold(scheme, "basic") || err != nil || !found {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(left)
	secret, err2 := url.QueryUnescape(right)
	return id, secret, err1 == nil && err2 == nil
}

// checkAssertion verifies a client assertion (RFC 7523 section 3, SMART App Launch).
func (c *call) checkAssertion(compact, id string) (Client, *tokenError) {
	if c.form.Get("client_assertion_type") != assertionType {
		return Client{}, wrongClient("client_assertion_type is not " + assertionType)
	}
	// The list of algorithms is what stops alg=none and public keys used for HMAC.
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil {
		return Client{}, wrongClient("the assertion is no JWT signed with RS384 or ES384: " + err.Error())
	}
	var claims struct {
		Iss, Sub, Jti string
		Aud           string
		Exp           float64
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		return Client{}, wrongClient("the assertion's payload: " + err.Error())
	}
	client, ok := c.sim.client(claims.Iss)
	if !ok || claims.Sub != claims.Iss || id != "" && id != claims.Iss {
		return Client{}, wrongClient("iss and sub are not one client's, or not that of client_id")
	}
	keys := client.Keys.Key(jws.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		return Client{}, wrongClient(fmt.Sprintf("kid %q is that of %d keys", jws.Signatures[0].Header.KeyID, len(keys)))
	}
	if _, err := jws.Verify(keys[0]); err != nil {
		return Client{}, wrongClient("the assertion is not signed by the client's key")
	}
	exp := time.UnixMilli(int64(1000 * claims.Exp))
	// The token endpoint names the server, wherever the client proves who it is: also at
	// the revocation endpoint (RFC 7523 section 3).
	endpoint := control.Base(c.Request) + c.settings.Paths.Token
	switch {
	case claims.Aud != endpoint:
		return Client{}, wrongClient("aud is not " + endpoint)
	case !exp.After(c.now) || exp.After(c.now.Add(5*time.Minute+2*time.Second)):
		return Client{}, wrongClient("exp is past or more than 5 minutes ahead")
	case claims.Jti == "" || !c.sim.assertions.Add(claims.Iss+" "+claims.Jti, struct{}{}, exp, c.now):
		return Client{}, wrongClient("jti is missing or was used before")
	}
	return client, nil
}
