// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

type interceptor = func(w http.ResponseWriter, r *http.Request, platform http.Handler)

// isGrant tells a request for a participant's token.
func isGrant(r *http.Request) bool {
	return r.URL.Path == tokenPath && form(r).Get("grant_type") == "delegated_participant"
}

const tokenPath = "/identityserver/connect/token"

// replacing changes one field of the answers to delegated grants; nil takes it out.
func replacing(field string, value any) interceptor {
	return func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if !isGrant(r) {
			platform.ServeHTTP(w, r)
			return
		}
		good := httptest.NewRecorder()
		platform.ServeHTTP(good, r)
		var fields map[string]any
		_ = json.Unmarshal(good.Body.Bytes(), &fields)
		if fields[field] = value; value == nil {
			delete(fields, field)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(fields)
	}
}

// allocated is how many bytes f allocates, in this whole process.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestT28_BombsAndDrips protects against answers of the token endpoint that
// cost memory or time rather than pass for a token: one that unpacks to a
// gigabyte, one that never ends, one that comes a byte at a time.
func TestT28_BombsAndDrips(t *testing.T) {
	var part bytes.Buffer
	packer := gzip.NewWriter(&part)
	_, _ = packer.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = packer.Close()
	for name, serve := range map[string]http.HandlerFunc{
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 1 << 10 { // members of one gzip stream
				if _, err := w.Write(part.Bytes()); err != nil {
					return
				}
			}
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for block := bytes.Repeat([]byte(" "), 1<<16); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"drip": func(w http.ResponseWriter, r *http.Request) {
			for drop := time.NewTicker(10 * time.Millisecond); ; {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-drop.C:
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			// A drip is bounded by the timeout, 10 s if nothing is set.
			s := start(t, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\ttimeout 1s\n\t\t\t}", 1))
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				if !isGrant(r) {
					platform.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				serve(w, r)
			})
			u := signIn(t, s, "alice")
			if bytes := allocated(func() { u.get(participantPath).want(t, http.StatusServiceUnavailable, "issuer_unavailable") }); bytes > 32<<20 {
				t.Errorf("the answer cost %d MiB", bytes>>20)
			}
			if got := s.Platform.Counts(); got.Delegated != 0 {
				t.Errorf("%d requests reached the API", got.Delegated)
			}
		})
	}
}

// TestT29_Assertions protects the service account: each assertion is new, for
// this endpoint alone, soon over, signed as the platform expects; none is sent
// in an address or written to the log.
func TestT29_Assertions(t *testing.T) {
	caddyfile, log := logged(t, administered(stack.Caddyfile))
	s := start(t, strings.Replace(caddyfile, "{\n", "{\n\tdebug\n", 1))
	var mu sync.Mutex
	var assertions []string
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if v := form(r).Get("client_assertion"); v != "" {
			mu.Lock()
			assertions = append(assertions, v)
			mu.Unlock()
		}
		platform.ServeHTTP(w, r)
	})
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	const times = 5
	for range times {
		a.purge("", `"mydatahelps"`)
		u.get(participantPath).want(t, http.StatusOK, "")
	}
	if len(assertions) != times {
		t.Fatalf("%d assertions in %d calls for a service token", len(assertions), times)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[any]bool)
	for _, assertion := range assertions {
		parts := strings.Split(assertion, ".")
		var header, claims map[string]any
		for i, to := range []any{&header, &claims} {
			part, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(part, to); err != nil {
				t.Fatal(err)
			}
		}
		if header["alg"] != "RS256" {
			t.Errorf("alg %v", header["alg"])
		}
		// Neither iat nor nbf: a clock that is ahead would be refused for them.
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "exp", "iss", "jti", "sub"}) {
			t.Errorf("claims %v", got)
		}
		if claims["aud"] != s.PlatformURL+tokenPath {
			t.Errorf("aud %v", claims["aud"])
		}
		if left := claims["exp"].(float64) - float64(time.Now().Unix()); left <= 0 || left > 300 {
			t.Errorf("the assertion lives for %v s", left)
		}
		if seen[claims["jti"]] {
			t.Error("a jti was used twice")
		}
		seen[claims["jti"]] = true
		for _, r := range s.Platform.Records() {
			if strings.Contains(r.URI, assertion) {
				t.Errorf("the assertion is in the address %s", r.URI)
			}
		}
		if strings.Contains(string(text), assertion) || strings.Contains(string(text), parts[2]) {
			t.Error("the log holds an assertion")
		}
	}
	if !strings.Contains(string(text), `"minted"`) {
		t.Error("the log is empty: nothing was tested")
	}
}

// TestT29_Clocks protects against clocks that are not quite right, and tells
// of those that are wrong: up to a minute and a half nobody notices, five
// minutes are an error that the operator is told, and no retry storm.
func TestT29_Clocks(t *testing.T) {
	for _, skew := range []int{-90, -30, 30, 90} {
		s := start(t, stack.Caddyfile)
		s.Platform.Set(func(set *simulator.Settings) { set.ClockSkew = skew })
		signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	}
	for _, skew := range []int{-300, 300} {
		s := start(t, stack.Caddyfile)
		s.Platform.Set(func(set *simulator.Settings) { set.ClockSkew = skew })
		u := signIn(t, s, "alice")
		for range 20 {
			u.get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
		}
		if got := s.Platform.Counts(); got.TokenRequests > 2 {
			t.Errorf("a clock that is off by %d s: %d requests at the token endpoint", skew, got.TokenRequests)
		}
	}
}

// TestT30_Dots protects against CVE-2025-22868: a JWT of thousands of dots was
// split into thousands of strings. Whoever sends one, as their session or as
// the platform's token, costs what its bytes cost.
func TestT30_Dots(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	for n, status := range map[int]int{15_000: http.StatusUnauthorized, 500_000: http.StatusRequestHeaderFieldsTooLarge} {
		forged := u.request(http.MethodGet, participantPath, nil)
		forged.Header.Del("Cookie")
		forged.Header.Set("Authorization", "Bearer "+strings.Repeat(".", n))
		// The browser, Caddy and the app, whom forward_auth asks, are one process here.
		if cost := allocated(func() { u.do(forged).want(t, status, "") }); cost > 400_000 {
			t.Errorf("a session of %d dots cost %d bytes", n, cost)
		}
	}

	for n, good := range map[int]bool{8000: true, 9000: false, 60_000: false} {
		t.Run("token", func(t *testing.T) {
			s := start(t, stack.Caddyfile)
			u := signIn(t, s, "alice")
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				if strings.HasPrefix(r.URL.Path, "/api/v1/delegated/") {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				replacing("access_token", strings.Repeat(".", n))(w, r, platform)
			})
			cost := allocated(func() {
				if got := u.get(participantPath); (got.StatusCode == http.StatusNoContent) != good {
					t.Errorf("a token of %d dots: %d", n, got.StatusCode)
				}
			})
			if cost > 2_000_000 {
				t.Errorf("a token of %d dots cost %d bytes", n, cost)
			}
		})
	}
}
