// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// responseError returns the error for a response that holds no keys. It names the
// address, status and content type, so that a login page in the place of the keys
// is seen for what it is. reason may be nil, where the status says enough.
func responseError(address string, res *http.Response, reason error) error {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || len(kind) > 100 {
		kind = "none that can be read"
	}
	response := fmt.Sprintf("%s answers with status %d and content type %s", printableAddress(address), res.StatusCode, kind)
	if reason == nil {
		return errors.New(response)
	}
	return fmt.Errorf("%s: %w", response, reason)
}

// printableAddress returns an address without user and query, which may hold a
// secret.
func printableAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address of the keys"
	}
	return delegation.PrintableOrigin(u) + u.EscapedPath()
}

// maxDiscovery bounds a discovery document, in bytes.
const maxDiscovery = 256 << 10

// Discover returns the jwks_uri of an issuer's discovery document (OpenID Connect
// Discovery section 4, RFC 8414 section 3), and what the issuer calls itself there: `iss`
// of its tokens has to be that, to the last slash. It is for an operator whose settings
// do not fit: no signature is verified by keys from there.
func Discover(ctx context.Context, client *http.Client, issuer string) (jwksURI, name string, err error) {
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		if jwksURI, name, err = fetchDiscovery(ctx, client, strings.TrimSuffix(issuer, "/")+path); err == nil {
			return jwksURI, name, nil
		}
	}
	return "", "", err
}

// fetchDiscovery returns jwks_uri and issuer of the discovery document at an address.
func fetchDiscovery(ctx context.Context, client *http.Client, address string) (jwksURI, name string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", "", errors.New("the issuer is no URL") // err quotes it
	}
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "", "", oauth.Unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDiscovery))
	if err != nil {
		return "", "", oauth.Unreachable(err)
	}
	var document struct {
		Issuer any    `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(body, &document) != nil {
		return "", "", responseError(address, res, nil)
	}
	u, err := url.Parse(document.JWKS)
	if err != nil || u.Host == "" || u.User != nil || len(document.JWKS) > 1000 {
		return "", "", fmt.Errorf("%s names no jwks_uri", printableAddress(address))
	}
	name, _ = document.Issuer.(string) // of another type it says nothing, and spoils nothing
	return u.String(), name, nil
}
