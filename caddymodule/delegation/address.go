// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	basePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)
)

// ParseBaseURL returns the base URL of a platform, to which paths are appended, in
// the one spelling that a token's audience has: lower-case host, no default
// port, no trailing slash. It has to be https, or http on loopback ([IsLoopback]).
// Errors begin with the setting's name and do not repeat the address, which may
// hold a password.
func ParseBaseURL(setting, example, address string) (*url.URL, error) {
	wrong := func(what string) (*url.URL, error) {
		return nil, fmt.Errorf("%s %s", setting, what)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return wrong("is no address: write it like " + example)
	case u.User != nil:
		return wrong("holds a user name or password: remove it, the platform takes none")
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("does not begin with https://: write it like " + example)
	case u.Opaque != "" || u.Host == "":
		return wrong("names no host: write it like " + example)
	case u.RawQuery != "" || u.ForceQuery:
		return wrong("holds a query: remove everything from the ? on")
	case u.Fragment != "" || strings.Contains(address, "#"):
		return wrong("holds a fragment: remove everything from the # on")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	ip := net.ParseIP(host)
	if ip == nil && (!hostName.MatchString(host) || strings.Contains(host, "..")) {
		return wrong("holds no valid host name: write it like " + example)
	}
	if n, err := strconv.Atoi(port); strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n < 1 || n > 65535) {
		return wrong("holds no valid port: use 1 to 65535, or leave it out")
	}
	if u.Scheme == "http" && !IsLoopback(host) {
		// A service token in clear opens everything to whoever listens.
		return wrong("is http: use https, plain http is for a simulator on this machine only")
	}
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	prefix := strings.TrimSuffix(u.EscapedPath(), "/")
	if !basePath.MatchString(prefix) {
		return wrong("has a path that is no plain prefix: letters, digits, - . _ ~ between single slashes")
	}
	if port != "" {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return &url.URL{Scheme: u.Scheme, Host: host, Path: prefix}, nil
}

// IsLoopback reports whether a host name or address, without brackets and port,
// is this machine: localhost in any case, 127.0.0.0/8 or ::1. Only with such a
// host does plain http, or a database without TLS, reach nobody else.
func IsLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// PrintableOrigin returns scheme and host of a URL for a log or an error, as
// [Printable] does: a path or query may hold a secret.
func PrintableOrigin(u *url.URL) string { return Printable(u.Scheme+"://"+u.Host, 300) }

// UpstreamAt returns the upstream at a URL of [ParseBaseURL].
func UpstreamAt(base *url.URL) Upstream {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	return Upstream{
		Scheme:  base.Scheme,
		Address: net.JoinHostPort(base.Hostname(), port),
		Host:    base.Host,
		Prefix:  base.Path,
	}
}
