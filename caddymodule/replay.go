// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// maxReplay is the largest body that is kept so that a request can be sent
// again with a renewed credential. Larger ones are streamed, once.
const maxReplay = 64 << 10

// body is a request's body: kept and sent as often as needed, or streamed once.
type body struct {
	kept   []byte
	stream *clientBody // nil if kept
	length int64
}

var noBody = new(body)

// newBody reads a body that can be replayed, and leaves any other in the
// stream. An error is the client's: it broke off or sent too much.
func newBody(req *http.Request, cross *headers.Allow) (*body, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength == 0 {
		return noBody, nil
	}
	if req.ContentLength < 0 && bodiless(req.Method) {
		// HTTP/3 delivers these with a length of -1 and a body.
		return noBody, nil
	}
	stream := &clientBody{ReadCloser: req.Body, trailer: req.Trailer, cross: cross}
	if req.ContentLength < 0 || req.ContentLength > maxReplay {
		return &body{stream: stream, length: req.ContentLength}, nil
	}
	kept := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(stream, kept); err != nil {
		return nil, err
	}
	return &body{kept: kept, length: req.ContentLength}, nil
}

func bodiless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// replayable tells whether the body can be sent a second time.
func (b *body) replayable() bool { return b.stream == nil }

// attach puts the body on a request to be sent.
func (b *body) attach(out *http.Request, from *http.Request) {
	out.ContentLength = b.length
	switch {
	case b.stream != nil:
		out.Body = b.stream
		// The very map of from: its values arrive with the end of the body.
		b.stream.cross.Trailer(from.Trailer)
		out.Trailer = from.Trailer
	case len(b.kept) > 0:
		// With GetBody, net/http itself gets over a kept connection that has died.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.kept)), nil }
		out.Body, _ = out.GetBody()
		out.Trailer = nil
	default:
		out.Body = http.NoBody
		out.Trailer = nil
	}
}

// failure is the client's fault in sending the body, if there was one.
func (b *body) failure() error {
	if b.stream == nil {
		return nil
	}
	if err := b.stream.err.Load(); err != nil {
		return *err
	}
	return nil
}

// clientBody remembers an error in reading, to tell a client that broke off
// from an upstream that did, and keeps out of the trailers what does not cross.
type clientBody struct {
	io.ReadCloser
	trailer http.Header
	cross   *headers.Allow
	err     atomic.Pointer[error]
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.cross.Trailer(b.trailer)
	case err != nil:
		b.err.Store(&err)
	}
	return n, err
}
