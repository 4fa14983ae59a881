// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"net/url"
	"strings"
)

// ParseAppRedirect returns the redirect to an app that has sent a person to a browser:
// a native app by a scheme of its own, which has a dot (RFC 8252 section 7.1), or by
// an https URL that its system hands to it; or the page of an app on another site, as
// an https URL, or http on a loopback host. parameters are as in [ParseRedirect].
func ParseAppRedirect(address string, parameters ...string) (*Redirect, error) {
	scheme, _, _ := strings.Cut(address, ":")
	if scheme == "https" || scheme == "http" {
		return ParseRedirect(address, parameters...)
	}
	if err := checkAddressSigns(address); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	switch {
	// A scheme with a dot is nobody's script, file or mail, and another app does not
	// have it by chance.
	case err != nil || !strings.Contains(u.Scheme, ".") || u.Scheme != scheme:
		return nil, errors.New("write an https URL, or a scheme of your app's own in lower case that begins with a domain of yours in reverse, such as org.example.app:/connected")
	case u.Opaque != "" || u.User != nil || u.Path == "" && u.Host == "":
		return nil, errors.New("its path begins with a slash, and it has neither user nor password: write it like org.example.app:/connected")
	}
	if err := checkParameters(u, parameters); err != nil {
		return nil, err
	}
	return &Redirect{*u}, nil
}

// IsPage reports whether the address is a page on the web, and not an app's own
// scheme.
func (p *Redirect) IsPage() bool { return p.url.Scheme == "https" || p.url.Scheme == "http" }
