// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// BenchmarkPlatforms compares the throughput of warm requests to Mydex, whose
// grant is in memory, with that to MyDataHelps: the same sign-in, query and
// answer, by so many clients at once, in turn.
func BenchmarkPlatforms(b *testing.B) {
	const workers, some = 8, 50
	c := startMydex(b, "", "")
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
	at, _ := url.Parse(c.URL())
	var cookies []string
	for _, cookie := range alice.client.Jar.Cookies(at) {
		if cookie.Name == stack.CookieName {
			cookies = append(cookies, cookie.String())
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	b.Cleanup(client.CloseIdleConnections)
	get := func(path string) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, c.URL()+path, nil)
		if err != nil {
			b.Error(err)
			return
		}
		req.Header["Cookie"] = cookies
		res, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		_, err = io.Copy(io.Discard, res.Body)
		if res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			b.Errorf("%s: %d %v", path, res.StatusCode, err)
		}
	}
	var took [2]time.Duration
	for b.Loop() {
		for i, path := range []string{participantPath + "?dataset=ds_personal_details&instance=0", dataset} {
			begin := time.Now()
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for range some {
						get(path)
					}
				})
			}
			all.Wait()
			took[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "Mydex/MyDataHelps")
}
