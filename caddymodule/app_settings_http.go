// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// HTTP are the settings of the connections to a platform, to its token endpoint
// and its API alike; or to the server that keeps or verifies sessions.
type HTTP struct {
	// Proxy is the URL of an HTTP, HTTPS or SOCKS5 proxy. Accepts {env.*} and
	// {file.*}. Default: the environment's HTTPS_PROXY and NO_PROXY.
	Proxy string `json:"proxy,omitempty"`

	// CAFile is a PEM file of the certificate authorities to trust instead of
	// the system's. Accepts {env.*} and {file.*}. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`

	// Timeout bounds one call to the token endpoint or the administration API,
	// not a forwarded request. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// settings returns the settings as package delegation has them, with their
// placeholders expanded; nil for nil. Its errors begin with http and the
// setting's name, and repeat no value.
func (h *HTTP) settings(repl *caddy.Replacer) (*delegation.HTTP, error) {
	if h == nil {
		return nil, nil
	}
	out := &delegation.HTTP{Timeout: time.Duration(h.Timeout)}
	if h.Timeout < 0 {
		return nil, fmt.Errorf("http timeout %s: write a positive duration", time.Duration(h.Timeout))
	}
	if h.Proxy != "" {
		proxy, err := expandSetting(repl, h.Proxy)
		if err != nil {
			return nil, fmt.Errorf("http proxy: %w", err)
		}
		// The parse error would print the URL, which may hold a password.
		if out.Proxy, err = url.Parse(proxy); err != nil || out.Proxy.Host == "" {
			return nil, fmt.Errorf("http proxy: write a URL such as http://proxy.example.org:3128")
		}
	}
	if h.CAFile != "" {
		file, err := expandSetting(repl, h.CAFile)
		if err != nil {
			return nil, fmt.Errorf("http ca_file: %w", err)
		}
		if out.RootCAs, err = delegation.LoadCAs(file); err != nil {
			return nil, fmt.Errorf("http ca_file: %w", err)
		}
	}
	return out, nil
}

// parseHTTP reads:
//
//	http {
//	    proxy   <url>
//	    ca_file <file>
//	    timeout <duration>
//	}
func parseHTTP(d *caddyfile.Dispenser, to **HTTP) error {
	if *to != nil {
		return d.Err("http is set already")
	}
	if d.NextArg() {
		return d.Err("http takes a block, not a value")
	}
	h := new(HTTP)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch word := d.Val(); word {
		case "proxy":
			if err := parseOnce(d, &h.Proxy); err != nil {
				return err
			}
		case "ca_file":
			if err := parseOnce(d, &h.CAFile); err != nil {
				return err
			}
		case "timeout":
			var value string
			if h.Timeout != 0 {
				return d.Err("timeout is set already")
			}
			if err := parseOnce(d, &value); err != nil {
				return err
			}
			timeout, err := caddy.ParseDuration(value)
			if err != nil || timeout <= 0 {
				return d.Errf("timeout %q: write a positive duration such as 10s", value)
			}
			h.Timeout = caddy.Duration(timeout)
		default:
			return d.Errf("unrecognized subdirective %q of http: expected proxy, ca_file or timeout", word)
		}
	}
	*to = h
	return nil
}
