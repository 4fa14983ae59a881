// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// wiretap notes the secrets that really went to and came from the platform.
type wiretap struct {
	mu    sync.Mutex
	found map[string]string
}

// newWiretap listens at the platform's door.
func newWiretap(t *testing.T, s *stack.Stack) *wiretap {
	t.Helper()
	key, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(key)
	if block == nil {
		t.Fatal("the key file holds no PEM")
	}
	lines := strings.Split(string(key), "\n")
	w := &wiretap{found: map[string]string{"private key": lines[3]}}
	s.Intercept(func(rw http.ResponseWriter, r *http.Request, platform http.Handler) {
		sent, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(sent))
		r.Body = io.NopCloser(bytes.NewReader(sent))
		answer := httptest.NewRecorder()
		platform.ServeHTTP(answer, r)
		maps.Copy(rw.Header(), answer.Header())
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())

		w.mu.Lock()
		defer w.mu.Unlock()
		if v := form["client_assertion"]; len(v) == 1 {
			w.found[fmt.Sprintf("assertion %d", len(w.found))] = v[0]
		}
		if v := r.Header.Get("Authorization"); v != "" {
			_, token, _ := strings.Cut(v, " ")
			w.found["token "+token[:4]] = token
		}
		var body struct {
			AccessToken string `json:"access_token"`
		}
		if json.Unmarshal(answer.Body.Bytes(), &body) == nil && len(body.AccessToken) > 8 {
			w.found["token "+body.AccessToken[:4]] = strings.TrimSpace(body.AccessToken)
		}
	})
	return w
}

func (w *wiretap) list() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}
