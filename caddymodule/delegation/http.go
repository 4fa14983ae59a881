// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// DefaultTimeout bounds one call to an issuer.
const DefaultTimeout = 10 * time.Second

// HTTP are the settings for connections to a platform, to its issuer and its API
// alike.
type HTTP struct {
	// Proxy is the URL of an HTTP or SOCKS5 proxy. Default: the environment
	// variables HTTPS_PROXY and NO_PROXY.
	Proxy *url.URL

	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool

	// Timeout bounds one call to the issuer. Default: 10 s. It does not apply
	// to forwarded requests.
	Timeout time.Duration

	// PublicOnly refuses to connect to an address that is not of the public
	// internet, whatever host it was looked up for (package publicaddr). Through a
	// proxy that is the proxy's to do: see [HTTP.UsesProxy].
	PublicOnly bool
}

// FingerprintParts returns the settings as parts for [Fingerprint]. Of the
// certificate authorities only whether there are any is among them, as they
// cannot be read back from a pool: they decide whom to talk to, not what is kept.
func (h *HTTP) FingerprintParts() []string {
	if h == nil {
		return nil
	}
	proxy := ""
	if h.Proxy != nil {
		proxy = h.Proxy.String()
	}
	return []string{proxy, h.Timeout.String(), strconv.FormatBool(h.RootCAs != nil), strconv.FormatBool(h.PublicOnly)}
}

// LoadCAs returns the certificate authorities of a PEM file. A file without any is
// an error: an empty pool must not pass for "trust the system".
func LoadCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(NormalizePEM(string(text))) {
		return nil, fmt.Errorf("%s holds no PEM certificate: give those of the authorities, from BEGIN CERTIFICATE to END CERTIFICATE", file)
	}
	return pool, nil
}

// Client returns a new HTTP client for calls to an issuer; of nil, with the
// defaults. It follows no redirect: the assertion or secret in the body would go
// along (RFC 9700 section 4.12).
func (h *HTTP) Client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 32
	timeout := DefaultTimeout
	var transport http.RoundTripper = t
	if h != nil {
		if h.Proxy != nil {
			t.Proxy = http.ProxyURL(h.Proxy)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: h.RootCAs}
		if h.Timeout > 0 {
			timeout = h.Timeout
		}
		if h.PublicOnly && h.Proxy == nil {
			transport = newPublicTransport(t)
		}
	}
	return &http.Client{
		Transport: transport,
		Timeout:   timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}
