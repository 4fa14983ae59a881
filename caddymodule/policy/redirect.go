// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Redirect is the address of a page of the app that a browser is redirected to.
// Make it with [ParseRedirect].
type Redirect struct {
	url url.URL
}

// ParseRedirect returns the redirect to an address: a path, or a URL on an origin
// that [Redirect.CheckOrigin] has to allow, with query and fragment. An address
// that browsers and servers may read in two ways is an error, because open
// redirects are what phishing is made of: backslashes, blanks, control characters,
// and hosts that are not written as browsers send them. parameters are the query
// parameters that [Redirect.WithParameters] is to add; the address must not have them.
func ParseRedirect(address string, parameters ...string) (*Redirect, error) {
	if err := checkAddressSigns(address); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it is no address: write a path such as /profile, or a URL such as https://app.example.org/profile")
	}
	if err := checkParameters(u, parameters); err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "" && (!strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//")):
		return nil, errors.New("write the path of a page of this site, such as /profile, or the URL of one on a trusted origin")
	case u.Scheme == "":
	case u.User != nil:
		return nil, errors.New("it has a user or a password: write it as scheme://host/path")
	case u.Opaque != "" || u.Path != "" && u.Path[0] != '/' || checkOriginSyntax(serializeOrigin(u)) != nil || u.Scheme+"://"+u.Host != serializeOrigin(u) || !strings.HasPrefix(address, serializeOrigin(u)):
		return nil, errors.New("its origin is not written as browsers send it: write it like https://app.example.org/profile, in lower case, without a default port")
	}
	if u.Host != "" && u.Path == "" {
		u.Path = "/"
	}
	return &Redirect{*u}, nil
}

// checkAddressSigns refuses an address with a sign that readers take in two ways.
func checkAddressSigns(address string) error {
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\{}<>"^|`+"`", r) }) {
		return errors.New("it holds a blank, a backslash, a brace or another sign that no address has, or a letter beyond ASCII: escape it with %")
	}
	return nil
}

// checkParameters refuses an address whose query has one of the parameters that are
// added to it.
func checkParameters(u *url.URL, added []string) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its query is none: write it like ?tab=connect")
	}
	for _, parameter := range added {
		if query.Has(parameter) {
			return fmt.Errorf("its query has the parameter %s, which is added: remove it, or put it behind the #", parameter)
		}
	}
	return nil
}

// CheckOrigin returns an error for a page whose origin is neither own nor trusted.
// own is a URL of this site, or nil if that is not known.
func (p *Redirect) CheckOrigin(own *url.URL, o *Origins) error {
	if p.url.Scheme == "" || own != nil && serializeOrigin(own) == serializeOrigin(&p.url) {
		return nil
	}
	if _, ok := o.trusted[serializeOrigin(&p.url)]; !ok {
		return fmt.Errorf("%s is not this site: add it to trusted_origins of the global option delegate, or write a path", serializeOrigin(&p.url))
	}
	return nil
}

// WithParameter returns the address with one more parameter in its query, before the
// fragment: behind the # it would belong to the app's router.
func (p *Redirect) WithParameter(parameter, value string) string {
	return p.WithParameters(url.Values{parameter: {value}})
}

// WithParameters is [Redirect.WithParameter] for several, in the order of their names.
func (p *Redirect) WithParameters(parameters url.Values) string {
	u := p.url
	if u.RawQuery != "" && len(parameters) > 0 {
		u.RawQuery += "&"
	}
	u.RawQuery += parameters.Encode()
	return u.String()
}
