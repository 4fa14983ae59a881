// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// hopByHopHeaders are headers of one connection (RFC 9110 section 7.6.1), which are not
// part of a request.
var hopByHopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
}

// reservedHeaders are headers that a request about a session sets itself: the session,
// this server's credentials, and those by which body and answer are read.
var reservedHeaders = []string{"Authorization", "Cookie", "Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding", "Expect", "Idempotency-Key", "X-Idempotency-Key"}

// CheckHeader returns an error if an operator must not add a header to requests about
// sessions. name is in its canonical form. The error does not quote the value.
func CheckHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("it is no name of a header")
	case slices.Contains(hopByHopHeaders, name):
		return errors.New("it is a hop-by-hop header, which is not sent on: remove it")
	case slices.Contains(reservedHeaders, name):
		return errors.New("the request sets it itself: remove it")
	case value == "":
		return errors.New("the value is empty")
	case !httpguts.ValidHeaderFieldValue(value):
		return errors.New("the value holds a line break or another control character")
	case name == "Host" && !httpguts.ValidHostHeader(value):
		return errors.New("the value is no host: write one such as app.example.org, or with a port")
	}
	return nil
}

// applyHeaders sets an operator's headers on a request, in place of those it has.
func applyHeaders(req *http.Request, header http.Header) {
	for name, values := range header {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = values
	}
}

// headerSettings returns headers as a list that is the same for the same headers.
func headerSettings(header http.Header) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		all = append(append(all, name), header[name]...)
	}
	return all
}
