// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// clientStream is the body as it comes from the client. It records the client's
// read error, and removes trailers that may not cross.
type clientStream struct {
	io.ReadCloser
	trailer http.Header
	allowed *headers.RequestFilter
	missing int64 // bytes of the announced length; negative: none was announced
	begun   atomic.Bool
	ended   atomic.Bool
	err     atomic.Pointer[error]
}

// Read implements [io.Reader].
func (s *clientStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		s.begun.Store(true)
	}
	if s.missing >= 0 {
		s.missing = max(s.missing-int64(n), 0)
	}
	if err == io.EOF && s.missing > 0 {
		err = io.ErrUnexpectedEOF // HTTP/3's reader reports a short body as a complete one
	}
	switch {
	case err == io.EOF:
		s.ended.Store(true)
		s.allowed.Trailer(s.trailer)
	case err != nil:
		s.err.Store(&err)
	}
	return n, err
}
