// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	validName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	memberPath = regexp.MustCompile(`^[^.\s]+(\.[^.\s]+)*$`)
	scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6749 section 3.3
)

// CheckName returns an error for a source's name that cannot stand in an address.
func CheckName(name string) error {
	if !validName.MatchString(name) || len(name) > 64 {
		return fmt.Errorf("source %q: a name is 1 to 64 lower-case letters, digits, - and _, and begins with a letter or digit", name)
	}
	return nil
}

// ParseEnd returns the time of a day, such as 2026-12-31, of which it is the first
// moment in UTC, or of an RFC 3339 text.
func ParseEnd(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if end, err := time.Parse(layout, text); err == nil {
			return end, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no day: write it like 2026-12-31", text)
}

// Validate returns an error for settings by which nobody could connect. It begins
// with the setting's name, and repeats no secret. The addresses are resolved, and
// the defaults set, before it.
func (c *Config) Validate() error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if strings.ContainsFunc(c.Title, unicode.IsControl) || !utf8.ValidString(c.Title) || utf8.RuneCountInString(c.Title) > 100 {
		return errors.New("name is no name that people can read: write at most 100 characters, in one line")
	}
	for _, check := range []func() error{c.checkClient, c.checkProtocol, c.checkScopes, c.checkParams, c.checkReply, c.checkRefresh, c.checkSteps, c.checkHeaders} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkClient wants what the kind of client authentication takes.
func (c *Config) checkClient() error {
	if c.ClientID == "" {
		return errors.New("client_id is missing: register an application at the vendor, and add its client to the source, or to `use` of the provider")
	}
	secret, key := c.ClientSecret.Reveal() != "", c.ClientKey.Reveal() != ""
	switch {
	case c.Protocol == OAuth1 && !secret:
		return errors.New("client_secret is missing: OAuth 1.0a signs every call with it")
	case c.Protocol == OAuth1:
		return nil
	case c.ClientAuth == ClientAuthKey:
		_, err := c.parseClientKey()
		return err
	case c.ClientAuth != ClientAuthKey && key:
		return fmt.Errorf("client_key is not used with client_auth %s: remove one of the lines", c.ClientAuth)
	case (c.ClientAuth == ClientAuthBody || c.ClientAuth == ClientAuthBasic) && !secret:
		return fmt.Errorf("client_secret is missing: client_auth %s sends it; for a client without one write `client_auth none`", c.ClientAuth)
	case c.ClientAuth == ClientAuthNone && c.NoPKCE:
		// RFC 9700 section 2.1.1: nothing would tie the code to who began.
		return errors.New("client_auth none needs PKCE: remove `pkce off`")
	}
	return nil
}

// checkProtocol refuses settings that the source's protocol has no place for: they
// would be believed to count.
func (c *Config) checkProtocol() error {
	type setting struct {
		name string
		set  bool
	}
	others, protocol := []setting{
		{"signature", c.Signature != ""}, {"signature_in", c.SignatureInQuery}, {"callback_at", c.CallbackAtAuthorize},
	}, "OAuth 1.0a: request_token_url is none"
	if c.Protocol == OAuth1 {
		others, protocol = []setting{
			{"client_auth", c.ClientAuth != ""},
			{"client_key", c.ClientKey.Reveal() != ""},
			{"issuer", c.Issuer != ""},
			{"scopes", len(c.Scopes) > 0},
			{"scope_separator", c.ScopeSeparator != ""},
			{"covers", c.Covers != ""},
			{"pkce", c.NoPKCE},
			{"token_param", len(c.TokenParams) > 0},
			{"refresh_param", len(c.RefreshParams) > 0},
			{"refresh", c.Refresh != ""},
			{"refresh_url", c.RefreshURL != nil},
			{"refresh_life", c.RefreshLife != 0},
			{"grace", c.Grace != 0},
			{"reply", !c.Reply.isZero()},
			{"granted", c.Granted != nil},
		}, "OAuth 2: request_token_url is an address"
	}
	for _, s := range others {
		if s.set {
			return fmt.Errorf("%s is of %s, so remove the line", s.name, protocol)
		}
	}
	if c.Protocol == OAuth1 && c.Signature != HMACSHA1 && c.Signature != HMACSHA256 {
		return fmt.Errorf("signature %q: write %s or %s", c.Signature, HMACSHA1, HMACSHA256)
	}
	return nil
}

// checkScopes checks the scopes and what stands between them.
func (c *Config) checkScopes() error {
	separator := c.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	if len(separator) > 1 || unicode.IsLetter(rune(separator[0])) || unicode.IsDigit(rune(separator[0])) {
		return fmt.Errorf("scope_separator %q: write one character, such as \",\"", separator)
	}
	for i, scope := range c.Scopes {
		switch {
		case !scopeToken.MatchString(scope) || strings.Contains(scope, separator):
			return fmt.Errorf("scopes: %q is no scope: write them one by one, with spaces between them", scope)
		case scope == "none":
			return errors.New("scopes none stands alone")
		case slices.Contains(c.Scopes[:i], scope):
			return fmt.Errorf("scopes: %s stands twice", scope)
		}
	}
	if c.Covers != "" && c.Covers != CoversEqual && c.Covers != CoversSMART {
		return fmt.Errorf("covers %q: write equal or smart", c.Covers)
	}
	return nil
}

// exchangeParameters are those of the exchanges that are this module's to say.
var exchangeParameters = []string{
	"grant_type", "code", "code_verifier", "refresh_token", "client_id", "client_secret", "client_assertion", "client_assertion_type",
}

// checkParams refuses parameters that are this module's to say. The address of the
// redirect may be asked for where a vendor wants it, but not another one.
func (c *Config) checkParams() error {
	for _, p := range []struct {
		setting string
		params  map[string]string
		ours    []string
	}{
		{"authorize_param", c.AuthorizeParams, append(ourParameters, "scope")},
		{"token_param", c.TokenParams, exchangeParameters},
		{"refresh_param", c.RefreshParams, exchangeParameters},
	} {
		for name, value := range p.params {
			if slices.Contains(p.ours, name) || name == "redirect_uri" && value != RedirectURI || strings.HasPrefix(name, "oauth_") {
				return fmt.Errorf("%s %s is this module's to say: remove the line", p.setting, name)
			}
		}
	}
	return nil
}

// checkReply checks the paths of the token endpoint's answer.
func (c *Config) checkReply() error {
	r, ends := c.Reply, 0
	for name, path := range map[string]string{
		"root": r.Root, "ok": r.OK, "refused": r.RefusedAt, "access": r.Access, "refresh": r.Refresh, "scope": r.Scope,
		"expires_in": r.ExpiresIn, "expires_at": r.ExpiresAt, "expires_claim": r.ExpiresClaim,
	} {
		if path != "" && !memberPath.MatchString(path) {
			return fmt.Errorf("reply %s %q: write the names of members with dots between them", name, path)
		}
		if path != "" && strings.HasPrefix(name, "expires_") {
			ends++
		}
	}
	if (r.RefusedAt == "") != (len(r.Refused) == 0) {
		return errors.New("reply refused: name a member, and its values in an answer that does not accept the code or refresh token")
	}
	if ends > 1 {
		return errors.New("reply: write one of expires_in, expires_at and expires_claim")
	}
	return nil
}

// checkRefresh checks what becomes of refresh tokens.
func (c *Config) checkRefresh() error {
	switch {
	case c.Protocol == OAuth1:
		return nil
	case c.Refresh != RefreshRotates && c.Refresh != RefreshKept && c.Refresh != RefreshNone:
		return fmt.Errorf("refresh %q: write rotates, kept or none", c.Refresh)
	case c.Grace != 0 && c.Refresh != RefreshRotates:
		return fmt.Errorf("grace is of a refresh token that is replaced, and refresh is %s: remove the line", c.Refresh)
	case c.RefreshLife != 0 && c.Refresh == RefreshNone:
		return errors.New("refresh_life is of a refresh token, and refresh is none: remove the line")
	case c.Grace < 0 || c.RefreshLife < 0:
		return errors.New("grace and refresh_life are positive durations")
	}
	return nil
}
