// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// maxRedirects is how many redirects are followed: more than any issuer needs.
const maxRedirects = 3

// download fetches the keys, and returns those that are used and the others.
func (r *RemoteKeySet) download(ctx context.Context) ([]jose.JSONWebKey, []UnusedKey, error) {
	res, err := r.requestKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, responseError(res.Request.URL.String(), res, nil)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, nil, oauth.Unreachable(err)
	}
	if len(text) > maxKeySet {
		return nil, nil, fmt.Errorf("the answer is too large: more than %d KiB are not read", maxKeySet>>10)
	}
	keys, unused, err := parseKeySet(text)
	if err != nil {
		return nil, nil, responseError(res.Request.URL.String(), res, err)
	}
	return keys, unused, nil
}

// requestKeys sends the request, and follows redirects within the host.
func (r *RemoteKeySet) requestKeys(ctx context.Context) (*http.Response, error) {
	address := r.url
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, errors.New("the address of the keys is no URL: mend it") // err quotes it
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		res, err := r.httpClient.Do(req)
		if err != nil {
			return nil, oauth.Unreachable(err)
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return res, nil
		}
		_ = res.Body.Close()
		target, err := res.Location()
		if err != nil {
			return nil, fmt.Errorf("it redirects (status %d) to an address that cannot be read", res.StatusCode)
		}
		if !sameHost(req.URL, target) {
			return nil, fmt.Errorf("it redirects (status %d) to %s: if that is your issuer's too, write that address as jwks", res.StatusCode, delegation.PrintableOrigin(target))
		}
		address = target.String()
	}
	return nil, fmt.Errorf("it redirects more than %d times", maxRedirects)
}

// sameHost tells whether a redirect is followed: to https on the same host and
// port. Another host would choose the keys, and with http whoever is on the way.
func sameHost(from, to *url.URL) bool {
	return to.Scheme == "https" && to.User == nil && strings.EqualFold(from.Hostname(), to.Hostname()) && effectivePort(from) == effectivePort(to)
}

// effectivePort returns the port of an address, or the default one of its scheme.
func effectivePort(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
