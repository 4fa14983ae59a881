// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// tokenPath is the platform's token endpoint.
const tokenPath = "/identityserver/connect/token"

// tokenLength is how long the platform's reference tokens are, in bytes.
const tokenLength = 32

// playUpstream is the upstream of the comparison: it answers as fast as a Go
// server can, and gives whoever asks a token. It knows nobody and checks
// nothing but that there is a bearer, or a signature of OAuth 1.0a.
func playUpstream([]string) error {
	body := sampleAnswer()
	length := strconv.Itoa(len(body))
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		token := make([]byte, tokenLength/2)
		_, _ = rand.Read(token)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"%s","expires_in":3600,"token_type":"Bearer"}`, hex.EncodeToString(token))
	})
	mux.HandleFunc("POST "+exchangePath, exchangeToken)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); kind != "Bearer" && kind != "OAuth" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", length)
		_, _ = w.Write(body)
	})
	return serve(mux)
}

// sampleAnswer is a page of made-up data of about 1 KB.
func sampleAnswer() []byte {
	var b strings.Builder
	b.WriteString(`{"deviceDataPoints":[`)
	for i := 0; b.Len() < 1000; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%08d","type":"Steps","value":"%d","units":"count","startDate":"2025-01-01T08:%02d:00+00:00"}`, i, 100*i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}
