// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// Marshal writes an answer as the platforms do: HTML is not escaped. One SDK
// takes an address out of its quotes and unescapes nothing.
func Marshal(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("simulator: answer cannot be marshalled: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}

// Body counts what is read of a request's body, and keeps its beginning.
type Body struct {
	io.ReadCloser
	N    int64
	Kept bytes.Buffer
	keep int
}

func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.N += int64(n)
	b.Kept.Write(p[:min(n, b.keep-b.Kept.Len())])
	return n, err
}

// maxDrain is the longest body of which the server discards what a handler leaves.
const maxDrain = 1 << 20

// Answer tells when its status is known, before it is sent: whoever has seen an
// answer finds it in the records.
type Answer struct {
	http.ResponseWriter
	Body   *Body // of the request
	drain  bool
	begins func(status int)
	begun  bool
}

// Watch takes the place of w and of the request's body, of which it keeps so
// many bytes.
func Watch(w http.ResponseWriter, r *http.Request, keep int, begins func(status int)) *Answer {
	a := &Answer{ResponseWriter: w, Body: &Body{ReadCloser: r.Body, keep: keep}, begins: begins}
	a.drain = r.ContentLength > 0 && r.ContentLength <= maxDrain
	r.Body = a.Body
	return a
}

func (a *Answer) WriteHeader(status int) {
	if status >= 200 && !a.begun {
		a.begun = true
		if a.drain { // else the server does, and nobody counts it
			_, _ = io.Copy(io.Discard, a.Body)
		}
		a.begins(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *Answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

func (a *Answer) FlushError() error {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
