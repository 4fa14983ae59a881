// SPDX-License-Identifier: Apache-2.0

package session

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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// responseError is the error for an answer that holds no keys: it says from
// where it came and what it was, so that a login page in the place of the keys is
// seen for what it is. reason may be nil, where the status says enough.
func responseError(address string, res *http.Response, reason error) error {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || len(kind) > 100 {
		kind = "none that can be read"
	}
	said := fmt.Sprintf("%s answers with status %d and content type %s", printableAddress(address), res.StatusCode, kind)
	if reason == nil {
		return errors.New(said)
	}
	return fmt.Errorf("%s: %w", said, reason)
}

// printableAddress leaves out of an address what may be a secret.
func printableAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address of the keys"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

const maxDiscovery = 256 << 10

// DiscoverJWKS asks an issuer's discovery document (OpenID Connect Discovery
// section 4, RFC 8414 section 3) where its keys are. It is for an operator who
// has another address: nothing is ever verified by what it says.
func DiscoverJWKS(ctx context.Context, client *http.Client, issuer string) (address string, err error) {
	address, _, err = Discover(ctx, client, issuer)
	return address, err
}

// Discover is [DiscoverKeys], and also returns what the issuer calls itself there,
// which `iss` of its tokens has to be, to the last slash.
func Discover(ctx context.Context, client *http.Client, issuer string) (keys, name string, err error) {
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		if keys, name, err = fetchJWKSURI(ctx, client, strings.TrimSuffix(issuer, "/")+path); err == nil {
			return keys, name, nil
		}
	}
	return "", "", err
}

func fetchJWKSURI(ctx context.Context, client *http.Client, address string) (keys, name string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", "", errInvalidURL
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
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(body, &document) != nil {
		return "", "", responseError(address, res, nil)
	}
	u, err := url.Parse(document.JWKS)
	if err != nil || u.Host == "" || u.User != nil || len(document.JWKS) > 1000 {
		return "", "", fmt.Errorf("%s names no jwks_uri", printableAddress(address))
	}
	return u.String(), document.Issuer, nil
}
