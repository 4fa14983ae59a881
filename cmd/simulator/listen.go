// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// listener is where a simulator listens, and where its clients think it is.
type listener struct {
	address   string
	publicURL string
	certFile  string
	keyFile   string
}

// register adds the listener's flags.
func (l *listener) register(flags *flag.FlagSet, address string) {
	flags.StringVar(&l.address, "listen", address, "`address` to listen on; port 0 picks a free one")
	flags.StringVar(&l.publicURL, "public-url", "", "`URL` at which clients reach it, without a path, where that is another than it listens on: links and the audience of assertions are of that one")
	flags.StringVar(&l.certFile, "tls-cert", "", "`file` with the certificate for https, in PEM; made, with the key, if neither is there")
	flags.StringVar(&l.keyFile, "tls-key", "", "`file` with the certificate's private key, in PEM")
}

// check tells what is wrong with the flags.
func (l *listener) check() error {
	if (l.certFile == "") != (l.keyFile == "") {
		return errors.New("--tls-cert and --tls-key go together: give both, or neither for http")
	}
	if l.publicURL == "" {
		return nil
	}
	u, err := url.Parse(l.publicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("--public-url: %q is no https or http address without a path, such as https://mydatahelps.org", l.publicURL)
	}
	l.publicURL = u.Scheme + "://" + u.Host
	return nil
}

// above is a listener whose port is so many higher; port 0 stays.
func (l listener) above(n int) (listener, error) {
	host, port, err := net.SplitHostPort(l.address)
	if err != nil {
		return l, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return l, fmt.Errorf("--listen: %s: want a port between 0 and 65535: %w", l.address, err)
	}
	if number > 0 {
		l.address = net.JoinHostPort(host, strconv.Itoa(int(number)+n))
	}
	return l, nil
}

// serve serves until ctx ends. welcome is told where, before the first request.
func (l *listener) serve(ctx context.Context, h http.Handler, welcome func(base string)) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	if l.certFile != "" {
		certificate, err := l.certificate()
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	base := l.publicURL
	switch {
	case base != "":
		server.Handler = control.At(base, h)
	case server.TLSConfig != nil:
		base = "https://" + socket.Addr().String()
	default:
		base = "http://" + socket.Addr().String()
	}
	welcome(base)
	served := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			served <- server.ServeTLS(socket, "", "")
		} else {
			served <- server.Serve(socket)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// certificate reads the certificate and its key, or makes them if neither is there.
func (l *listener) certificate() (tls.Certificate, error) {
	missing := 0
	for _, file := range []string{l.certFile, l.keyFile} {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			missing++
		}
	}
	if missing == 2 {
		if err := l.makeCertificate(); err != nil {
			return tls.Certificate{}, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	}
	certificate, err := tls.LoadX509KeyPair(l.certFile, l.keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return certificate, nil
}

// makeCertificate makes a certificate that vouches for itself: clients are told
// to trust its file. It is good for this machine and the public URL's host.
func (l *listener) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "simulator"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if u, err := url.Parse(l.publicURL); err == nil && u.Hostname() != "" {
		if ip := net.ParseIP(u.Hostname()); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, u.Hostname())
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(l.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(l.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644), //nolint:gosec // it is public
	)
}
