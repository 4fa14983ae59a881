// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"io"
	"net/http"
)

// maxPeek bounds what is read of an answer on its way to the client, in bytes.
const maxPeek = 4 << 10

// peek returns the beginning of an answer's body, which it puts back, and whether that is
// all of it. Of a compressed body it returns nothing.
func peek(res *http.Response) (start []byte, whole bool) {
	if res.Body == nil || res.Body == http.NoBody || res.Header.Get("Content-Encoding") != "" {
		return nil, false
	}
	start, err := io.ReadAll(io.LimitReader(res.Body, maxPeek+1))
	rest := io.Reader(res.Body)
	if err != nil {
		rest = failed{err}
	}
	res.Body = readCloser{io.MultiReader(bytes.NewReader(start), rest), res.Body}
	return start, err == nil && len(start) <= maxPeek
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failed is a reader whose every reading has the error.
type failed struct{ error }

func (f failed) Read([]byte) (int, error) { return 0, f.error }
