// SPDX-License-Identifier: Apache-2.0

// Package replay keeps the body of a request so that the request can be sent
// again with a renewed credential, or streams a body that is too large for that.
package replay

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// MaxSize is the largest body, in bytes, that is buffered. A larger one, and one
// of unknown length, is streamed once: buffering it would let clients fill the
// memory of the server.
const MaxSize = 64 << 10

// Body is the body of one request: buffered and sent as often as needed, or
// streamed once. Make it with [Read]. The client's stream is read by one
// goroutine at a time; ReadError and PartlySent may be called meanwhile.
type Body struct {
	buffered []byte
	stream   *clientStream // nil: the body is buffered
	length   int64         // in bytes; -1: unknown
}

var noBody = new(Body)

// Read buffers a body of known length up to [MaxSize], and leaves any other in
// the client's stream. trailers are the names that cross to the platform. The
// error is the client's: it broke off, or sent too much.
func Read(req *http.Request, trailers *headers.RequestFilter) (*Body, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength == 0 {
		return noBody, nil
	}
	stream := &clientStream{ReadCloser: req.Body, trailer: req.Trailer, allowed: trailers, missing: req.ContentLength}
	if req.ContentLength < 0 && rarelyHasBody(req.Method) {
		return readUnannounced(stream)
	}
	if req.ContentLength < 0 || req.ContentLength > MaxSize {
		return &Body{stream: stream, length: req.ContentLength}, nil
	}
	buffered := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(stream, buffered); err != nil {
		return nil, err
	}
	return &Body{buffered: buffered, length: req.ContentLength}, nil
}

// rarelyHasBody reports whether requests with this method usually have no body:
// HTTP/2 and 3 deliver those with an unknown length.
func rarelyHasBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	default:
		return false
	}
}

// readUnannounced tells a body of unknown length from none, and buffers a small
// one without trailers. A message that announces a body and has none, or the
// other way round, is where two servers disagree about where the next message
// begins (request smuggling, RFC 9112 section 11.2).
func readUnannounced(stream *clientStream) (*Body, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(stream, first); err == io.EOF {
		return noBody, nil
	} else if err != nil {
		return nil, err
	}
	buffered, err := io.ReadAll(io.MultiReader(bytes.NewReader(first), io.LimitReader(stream, MaxSize)))
	if err != nil {
		return nil, err
	}
	if len(buffered) <= MaxSize && len(stream.trailer) == 0 {
		return &Body{buffered: buffered, length: int64(len(buffered))}, nil
	}
	stream.ReadCloser = readCloser{io.MultiReader(bytes.NewReader(buffered), stream.ReadCloser), stream.ReadCloser}
	return &Body{stream: stream, length: -1}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// CheckLength refuses an HTTP/1.0 request whose body has no Content-Length, with
// body_incomplete. That version has no chunks (RFC 9112 section 6.1), and
// net/http removes the Transfer-Encoding header that announces them: another
// server would take the chunks for the body.
func CheckLength(r *http.Request) error {
	if r.ProtoAtLeast(1, 1) || rarelyHasBody(r.Method) || len(r.Header["Content-Length"]) > 0 {
		return nil
	}
	return delegation.Refuse(delegation.BodyIncomplete, errors.New("a request of HTTP/1.0 without Content-Length: where its body ends cannot be told"))
}

// Replayable reports whether the body can be sent a second time.
func (b *Body) Replayable() bool { return b.stream == nil }

// SetOn puts the body on out, the request that is sent for the client's request
// from, together with its length and trailers.
func (b *Body) SetOn(out, from *http.Request) {
	out.ContentLength = b.length
	out.TransferEncoding = nil // derived from the length; a second one would be sent as it is
	switch {
	case b.stream != nil:
		out.Body = b.stream
		// The same map as the client's: its values arrive with the end of the body.
		b.stream.allowed.Trailer(from.Trailer)
		out.Trailer = from.Trailer
	case len(b.buffered) > 0:
		// With GetBody, net/http itself retries on a kept connection that has died.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.buffered)), nil }
		out.Body, _ = out.GetBody()
		out.Trailer = nil
	default:
		out.Body = http.NoBody
		out.Trailer = nil
	}
}

// ReadError returns the error in reading the stream from the client, which tells
// a client that broke off from an upstream that did; nil if there was none.
func (b *Body) ReadError() error {
	if b.stream == nil {
		return nil
	}
	if err := b.stream.err.Load(); err != nil {
		return *err
	}
	return nil
}

// PartlySent reports whether some of the stream was sent while the rest has yet
// to come from the client.
func (b *Body) PartlySent() bool {
	return b.stream != nil && b.stream.begun.Load() && !b.stream.ended.Load()
}
