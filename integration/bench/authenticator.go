// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// sessionHeader is how the load says who is signed in. Real sessions cost
// something, the same for every contender; this one costs next to nothing, so
// that it does not hide what is compared.
const sessionHeader = "X-Bench-User"

// handmade is what people write instead of using this project: a map of tokens
// and a mutex.
type handmade struct {
	issuer string
	client *http.Client

	mu     sync.Mutex
	tokens map[string]handmadeToken
}

type handmadeToken struct {
	value   string
	expires time.Time
}

func newHandmade(platform string) *handmade {
	return &handmade{issuer: platform + tokenPath, client: &http.Client{Timeout: 10 * time.Second}, tokens: make(map[string]handmadeToken)}
}

func (h *handmade) token(user string) (string, error) {
	h.mu.Lock()
	t, ok := h.tokens[user]
	h.mu.Unlock()
	if ok && time.Now().Before(t.expires) {
		return t.value, nil
	}
	res, err := h.client.PostForm(h.issuer, url.Values{"grant_type": {"delegated_participant"}, "participant_id": {user}})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK || answer.Token == "" {
		return "", fmt.Errorf("the issuer answered with status %d", res.StatusCode)
	}
	t = handmadeToken{answer.Token, time.Now().Add(time.Duration(answer.Expires) * time.Second)}
	h.mu.Lock()
	h.tokens[user] = t
	h.mu.Unlock()
	return t.value, nil
}

// authenticated serves signed-in users with their tokens.
func (h *handmade) authenticated(serve func(w http.ResponseWriter, r *http.Request, token string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.Header.Get(sessionHeader)
		if user == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		token, err := h.token(user)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serve(w, r, token)
	})
}

// playAuthenticator is what Caddy's forward_auth asks: it answers with the
// header to be copied onto the request.
func playAuthenticator(args []string) error {
	h := newHandmade(args[0])
	return serve(h.authenticated(func(w http.ResponseWriter, r *http.Request, token string) {
		w.Header().Set("Authorization", "Bearer "+token)
	}))
}

type tokenKey struct{}

// playHandwritten is a reverse proxy of a few lines.
func playHandwritten(args []string) error {
	h := newHandmade(args[0])
	target, err := url.Parse(args[0])
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del(sessionHeader)
			r.Out.Header.Set("Authorization", "Bearer "+r.In.Context().Value(tokenKey{}).(string))
		},
		// The default of two idle connections would have it dial all the time.
		Transport: &http.Transport{MaxIdleConnsPerHost: connections},
	}
	forward := http.StripPrefix(prefix, proxy)
	return serve(h.authenticated(func(w http.ResponseWriter, r *http.Request, token string) {
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	}))
}
