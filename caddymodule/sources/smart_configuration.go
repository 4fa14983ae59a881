// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxEndpoint bounds an address that a server names, in bytes.
const maxEndpoint = 2000

// readSMARTConfiguration returns the addresses in the SMART configuration of the FHIR
// server (SMART App Launch 2.2, "Conformance"). They are https, as those of the settings
// are; where they lead is checked when they are dialled. A relative one, which the
// specification does not allow and servers send, is relative to the FHIR base. An error
// names the member and does not repeat its value.
func (c *Config) readSMARTConfiguration(members map[string]any) (*endpoints, error) {
	if err := c.checkChallengeMethods(members["code_challenge_methods_supported"]); err != nil {
		return nil, err
	}
	e := &endpoints{revoke: c.Revoke, issuer: c.Issuer, sendsIssuer: c.Issuer != ""}
	var err error
	if e.authorize, err = c.endpoint(members, "authorization_endpoint"); err != nil {
		return nil, err
	}
	if e.token, err = c.endpoint(members, "token_endpoint"); err != nil {
		return nil, err
	}
	if e.authorize == nil || e.token == nil {
		return nil, errors.New("authorization_endpoint or token_endpoint is missing")
	}
	e.refresh = e.token
	for name := range members {
		if u, err := c.endpoint(members, name); err == nil && u != nil && strings.HasSuffix(name, "_endpoint") {
			e.others = append(e.others, u) // what is no address is nobody's
		}
	}
	if e.revoke == nil {
		if e.revocation, err = c.endpoint(members, "revocation_endpoint"); err != nil {
			return nil, err
		}
	}
	if e.issuer == "" {
		// Of OpenID Connect, and optional. It is the iss of a redirect too, if that
		// has one (RFC 9207 section 2.4).
		e.issuer, _ = members["issuer"].(string)
		e.sendsIssuer, _ = members["authorization_response_iss_parameter_supported"].(bool)
	}
	return e, nil
}

// checkChallengeMethods refuses a server that does not say that it takes PKCE with
// S256, as each has to. One that takes plain besides, as none may, is sent S256.
func (c *Config) checkChallengeMethods(value any) error {
	if c.NoPKCE {
		return nil
	}
	methods, _ := value.([]any)
	if !slices.Contains(methods, any("S256")) {
		return errors.New("code_challenge_methods_supported does not have S256: the server is older than SMART App Launch 2; only with `pkce off` people can connect")
	}
	return nil
}

// endpoint returns the address of a member; nil if there is none.
func (c *Config) endpoint(members map[string]any, name string) (*url.URL, error) {
	if members[name] == nil {
		return nil, nil
	}
	text, _ := members[name].(string)
	if text == "" || len(text) > maxEndpoint {
		return nil, fmt.Errorf("%s is no address, or longer than %d bytes", name, maxEndpoint)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no address", name)
	}
	base := *c.API
	base.Path += "/"
	return parseAddress(name, base.ResolveReference(u).String(), nil, c.AllowPrivate)
}

// smartConfigurationRequest returns the request for the server's SMART configuration,
// which wants no authentication.
func (c *Config) smartConfigurationRequest(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.API.String()+"/.well-known/smart-configuration", nil)
	if err != nil {
		return nil, errors.New("fhir_base is no address that can be called")
	}
	return req, nil
}
