// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// maxReplay is the largest body that is kept so that a request can be sent
// again with a renewed credential. Larger ones are streamed, once.
const maxReplay = 64 << 10

// requestBody is a request's body: kept and sent as often as needed, or streamed once.
type requestBody struct {
	buffered []byte
	stream   *clientBody // nil if kept
	length   int64
}

var noBody = new(requestBody)

// readRequestBody reads a body that can be replayed, and leaves any other in the
// stream. An error is the client's: it broke off or sent too much.
func readRequestBody(req *http.Request, cross *headers.RequestFilter) (*requestBody, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength == 0 {
		return noBody, nil
	}
	stream := &clientBody{ReadCloser: req.Body, trailer: req.Trailer, allowed: cross, left: req.ContentLength}
	if req.ContentLength < 0 && rarelyHasBody(req.Method) {
		return bufferUnknownLength(stream)
	}
	if req.ContentLength < 0 || req.ContentLength > maxReplay {
		return &requestBody{stream: stream, length: req.ContentLength}, nil
	}
	kept := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(stream, kept); err != nil {
		return nil, err
	}
	return &requestBody{buffered: kept, length: req.ContentLength}, nil
}

// rarelyHasBody are the methods whose requests HTTP/2 and 3 deliver with an
// unknown length where there is no body.
func rarelyHasBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	default:
		return false
	}
}

// bufferUnknownLength tells a body of unknown length from none, and keeps a small one. A
// message that says that there is a body and has none, or the other way round,
// is where two servers disagree about where the next one begins.
func bufferUnknownLength(stream *clientBody) (*requestBody, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(stream, first); err == io.EOF {
		return noBody, nil
	} else if err != nil {
		return nil, err
	}
	kept, err := io.ReadAll(io.MultiReader(bytes.NewReader(first), io.LimitReader(stream, maxReplay)))
	if err != nil {
		return nil, err
	}
	if len(kept) <= maxReplay && len(stream.trailer) == 0 {
		return &requestBody{buffered: kept, length: int64(len(kept))}, nil
	}
	stream.ReadCloser = readCloser{io.MultiReader(bytes.NewReader(kept), stream.ReadCloser), stream.ReadCloser}
	return &requestBody{stream: stream, length: -1}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// checkHTTP10Length refuses a request of HTTP/1.0 with a body of which nothing is
// known. That version has no chunks (RFC 9112 section 6.1), and net/http takes
// the header that speaks of them away unread: to others the chunks are the body.
func checkHTTP10Length(r *http.Request) error {
	if r.ProtoAtLeast(1, 1) || rarelyHasBody(r.Method) || len(r.Header["Content-Length"]) > 0 {
		return nil
	}
	return delegation.Refuse(delegation.BodyIncomplete, errors.New("a request of HTTP/1.0 without Content-Length: where its body ends cannot be told"))
}

// replayable tells whether the body can be sent a second time.
func (b *requestBody) replayable() bool { return b.stream == nil }

// setOn puts the body on a request to be sent.
func (b *requestBody) setOn(out *http.Request, from *http.Request) {
	out.ContentLength = b.length
	out.TransferEncoding = nil // the length says it; one beside it would be sent as it is
	switch {
	case b.stream != nil:
		out.Body = b.stream
		// The very map of from: its values arrive with the end of the body.
		b.stream.allowed.Trailer(from.Trailer)
		out.Trailer = from.Trailer
	case len(b.buffered) > 0:
		// With GetBody, net/http itself gets over a kept connection that has died.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.buffered)), nil }
		out.Body, _ = out.GetBody()
		out.Trailer = nil
	default:
		out.Body = http.NoBody
		out.Trailer = nil
	}
}

// readError is the client's fault in sending the body, if there was one.
func (b *requestBody) readError() error {
	if b.stream == nil {
		return nil
	}
	if err := b.stream.err.Load(); err != nil {
		return *err
	}
	return nil
}

// partlySent tells whether some of the body was sent, and the rest has yet to come
// from the client.
func (b *requestBody) partlySent() bool {
	return b.stream != nil && b.stream.begun.Load() && !b.stream.ended.Load()
}

// clientBody remembers an error in reading, to tell a client that broke off
// from an upstream that did, and keeps out of the trailers what does not cross.
type clientBody struct {
	io.ReadCloser
	trailer http.Header
	allowed *headers.RequestFilter
	left    int64 // of the announced length; negative if none was
	begun   atomic.Bool
	ended   atomic.Bool
	err     atomic.Pointer[error]
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.begun.Store(true)
	}
	if b.left >= 0 {
		b.left = max(b.left-int64(n), 0)
	}
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF // which HTTP/3's reader does not tell
	}
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		b.allowed.Trailer(b.trailer)
	case err != nil:
		b.err.Store(&err)
	}
	return n, err
}
