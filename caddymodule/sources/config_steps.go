// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxLookups bounds how many places are looked at for one value.
const maxLookups = 4

// checkSteps checks the look-ups and the calls.
func (c *Config) checkSteps() error {
	for _, l := range []struct {
		setting string
		lookup  *Lookup
	}{{"account", c.Account}, {"label", c.Label}, {"granted", c.Granted}} {
		n := 0
		for lookup := l.lookup; lookup != nil; lookup = lookup.Or {
			if n++; n > maxLookups {
				return fmt.Errorf("%s stands more than %d times", l.setting, maxLookups)
			}
			if err := lookup.check(l.setting, c.Protocol); err != nil {
				return err
			}
		}
	}
	for _, path := range c.Reserve {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#{") || len(readAsPath(path)) == 0 {
			return fmt.Errorf("reserve %q: write a path below / at the API's host", path)
		}
	}
	for setting, call := range map[string]*Call{"after_connect": c.AfterConnect, "revoke": c.Revoke} {
		if call == nil {
			continue
		}
		if err := call.Check(setting); err != nil {
			return err
		}
		if signed := call.Auth == "signed"; signed != (c.Protocol == OAuth1) && (signed || call.Auth != "") {
			return fmt.Errorf("%s: auth %s is not of the source's protocol", setting, call.Auth)
		}
		if call.Auth == AuthNonce && c.ClientSecret.Reveal() == "" {
			return fmt.Errorf("%s: auth nonce signs with client_secret, which is missing", setting)
		}
		if err := c.checkCallAddress(setting, call.URL); err != nil {
			return err
		}
		if call.NonceURL != "" {
			if err := c.checkCallAddress(setting+": nonce_url", call.NonceURL); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkCallAddress checks the address of a call, in which values may stand.
func (c *Config) checkCallAddress(setting, address string) error {
	u, err := url.Parse(placeholders.ReplaceAllString(address, "x"))
	if err != nil {
		return fmt.Errorf("%s holds no address", setting)
	}
	_, err = parseAddress(setting, u.String(), nil, c.AllowPrivate)
	return err
}

func (l *Lookup) check(setting string, protocol Protocol) error {
	switch {
	case !memberPath.MatchString(l.Path):
		return fmt.Errorf("%s %q: write the names of members with dots between them", setting, l.Path)
	case (l.In == InAnswer) != (l.URL != nil):
		return fmt.Errorf("%s: an address belongs to get, and to nothing else", setting)
	case l.In == InRedirect && setting != "granted":
		// Whoever the browser is of writes there what they like, beside their own
		// code: somebody else's account would be theirs.
		return fmt.Errorf("%s: the redirect comes from the browser, which can say anything: take it from reply or get", setting)
	case l.In == InAnswer, l.In == InReply, l.In == InRedirect:
		return nil
	case (l.In == InIDToken || l.In == InAccess) && protocol != OAuth1:
		return nil
	default:
		return fmt.Errorf("%s: the source's protocol has no %q", setting, l.In)
	}
}

// placeholders are what a call may say of the person and the client.
var placeholders = regexp.MustCompile(`\{[a-z_]+\}`)

var callValues = []string{"{access}", "{refresh}", "{account}", "{client_id}", "{client_secret}", "{id}"}

// Check returns an error for a call that cannot be made. It begins with the setting's
// name. The address is not looked at beyond its placeholders.
func (c *Call) Check(setting string) error {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	switch {
	case !slices.Contains(methods, c.Method):
		return fmt.Errorf("%s %q: the method is one of %v", setting, c.Method, methods)
	case c.URL == "":
		return fmt.Errorf("%s has no address: write one after the method", setting)
	case len(c.Form) > 0 && c.JSON != "":
		return fmt.Errorf("%s: write form or json, not both", setting)
	case !slices.Contains([]string{"", "bearer", "basic", "signed", AuthNonce}, c.Auth):
		return fmt.Errorf("%s: auth %q: write bearer, basic, signed or nonce", setting, c.Auth)
	case c.JSON != "" && !json.Valid([]byte(c.JSON)):
		return fmt.Errorf("%s: json is no JSON: write it between backquotes", setting)
	}
	if err := c.checkNonce(setting); err != nil {
		return err
	}
	texts := []string{c.URL, c.JSON}
	for name, value := range c.Form {
		texts = append(texts, name, value)
	}
	for _, text := range texts {
		for _, value := range placeholders.FindAllString(text, -1) {
			if !slices.Contains(callValues, value) {
				return fmt.Errorf("%s: there is no value %s: there are %s", setting, value, strings.Join(callValues, ", "))
			}
		}
	}
	for _, status := range c.OK {
		if status < 200 || status > 599 {
			return fmt.Errorf("%s: ok %d is no status of an answer", setting, status)
		}
	}
	return nil
}

// ownHeaders are those of a data call that are not a source's to set.
var ownHeaders = []string{
	"Authorization", "Cookie", "Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Proxy-Authorization",
}

// checkHeaders checks the headers of data calls, and what their answers say.
func (c *Config) checkHeaders() error {
	if r := c.APIRefused; r != nil && (!memberPath.MatchString(r.Member) || len(r.Values) == 0) {
		return errors.New("api_refused: write the names of members with dots between them, and the values that say that the token is not accepted")
	}
	for name, value := range c.APIHeaders {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("api_header %q is no header", name)
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			return fmt.Errorf("api_header %s is this module's to say: remove the line", name)
		case !validHeaderValue(value):
			return errors.New("api_header " + name + " has a value that no header can have")
		}
	}
	return nil
}

func validHeaderValue(value delegation.Secret) bool {
	return httpguts.ValidHeaderFieldValue(value.Reveal())
}
