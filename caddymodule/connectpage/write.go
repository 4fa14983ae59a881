// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"net/http"
	"strconv"
)

// contentPolicy returns the Content-Security-Policy of a page: nothing is run, loaded
// or sent anywhere but the page's own style sheet and script, the logos and the
// forms. A nonce, and not 'self', because the app's origin may serve files that
// people have uploaded.
func contentPolicy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'; img-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
}

// Write answers the request with the page, in the language that fits its
// Accept-Language. It sets all headers but those of headers.SetOwnHeaders. Nothing is
// written if it returns an error, which is a fault of the page's fields.
func Write(w http.ResponseWriter, r *http.Request, status int, page Page) error {
	v := &view{Language: chooseLanguage(r), Nonce: rand.Text(), Page: page}
	if err := page.fill(v); err != nil {
		return err
	}
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, page.template(), v); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Language.Tag)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", contentPolicy(v.Nonce))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", cmp.Or(v.referrerPolicy, sameOriginReferrer))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error is a client that has left
	return nil
}
