// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// BenchmarkPlatforms compares a warm request to Mydex, whose grant is in
// memory, with one to MyDataHelps: the same sign-in, the same answer, in turn.
func BenchmarkPlatforms(b *testing.B) {
	c := mydexed(b, "", "")
	text := strings.Replace(c.caddyfile("\n"+stack.Provider, ""), "\thandle {\n", `	handle_path /mdh/* {`+stack.SignIn+`
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
	handle {
`, 1)
	text = strings.Replace(text, "grace_period 1s", "grace_period 1s\n\tlog {\n\t\toutput discard\n\t}", 1)
	load(b, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	answer := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	}
	c.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/delegated/") {
			answer(w)
			return
		}
		platform.ServeHTTP(w, r)
	})
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/pds/") {
			answer(w)
			return true
		}
		return false
	})
	get := func(path string) {
		if a := alice.do(http.MethodGet, path, ""); a.StatusCode != http.StatusOK {
			b.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	const some = 50
	var took [2]time.Duration
	for b.Loop() {
		for i, path := range []string{participantPath, dataset} {
			begin := time.Now()
			for range some {
				get(path)
			}
			took[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "Mydex/MyDataHelps")
}
