// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// twiceCase has two parties read two different sessions.
func twiceCase(t *testing.T, r *productRun) {
	one, two := r.server.session(r.user(caseUser), nil), r.server.session(r.user(firstUser), nil)
	first, second := r.headers(one), r.headers(two)
	if r.cookie != "" {
		r.nobody(t, "Cookie", first[1]+"; "+second[1])
	}
	r.nobody(t, append(first, second...)...)
}

// elsewhereCase has a session where the product does not put it.
func elsewhereCase(t *testing.T, r *productRun) {
	session := r.server.session(r.user(caseUser), nil)
	switch {
	case r.cookie == "":
		r.nobody(t, "Cookie", "session="+session)
		r.nobody(t, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+session)))
	case !r.bearer:
		r.nobody(t, "Authorization", "Bearer "+session)
		fallthrough
	default:
		r.nobody(t, "Cookie", "x-"+r.cookie+"="+session)
	}
	r.nobody(t, "X-Session-Token", session)
}

// piecesCase has a browser send some of the pieces of a session, or others.
func piecesCase(t *testing.T, r *productRun) {
	all := r.pieces(r.server.session(r.user(firstUser), nil))
	others := r.pieces(r.server.session(r.user(secondUser), nil))
	n := len(all) - 1
	if n < 1 {
		t.Fatal("it is in one piece")
	}
	send := func(pieces ...string) []string { return []string{"Cookie", strings.Join(pieces, "; ")} }
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	r.served(t, r.user(firstUser), send(backwards...)...)
	r.nobody(t, send(all[:n]...)...)
	r.nobody(t, send(all[1:]...)...)
	if r.wrap == nil { // otherwise the session may be whole in what is left of it
		r.nobody(t, send(append(all[:n:n], others[n])...)...)
	}
	r.nobody(t, send(append(all, others[n])...)...)
	r.nobody(t, send(append(all, r.cookie+"=x")...)...)
}

// wrongAnswerCase has the app or issuer answer what is no user.
func wrongAnswerCase(t *testing.T, r *productRun) {
	for _, subject := range []any{true, 1.5, []any{"a"}, map[string]any{"a": "b"}, "", nil, strings.Repeat("a", 2000)} {
		r.notServed(t, r.server.session(r.user(caseUser), func(answer map[string]any) { setAt(answer, r.asked.subject, subject) }))
	}
	for _, answer := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>") },
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		func(w http.ResponseWriter) { http.Redirect(w, new(http.Request), "/login", http.StatusFound) },
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"active":true,"user":{"id":"a`) },
	} {
		r.notServed(t, r.server.put(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	}
}

// setAt sets what an answer says at a path of names.
func setAt(answer map[string]any, path string, v any) {
	name, rest, more := strings.Cut(path, ".")
	if !more {
		answer[name] = v
		return
	}
	inner := maps.Clone(answer[name].(map[string]any))
	answer[name] = inner
	setAt(inner, rest, v)
}
