// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestR9_HandleResponse protects what operators write into handle_response: the
// routes there see the request that Caddy's log and the site's other directives
// see, and what they say of it counts.
func TestR9_HandleResponse(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(s.Dir, "access.log")
	load(t, s, strings.Replace(proxied(`
			handle_response {
				vars seen {rp.status_code}
				vars {
					both {http.delegate.provider}/{http.delegate.cache}
				}
				map {rp.status_code} {word} {
					200 fine
					default other
				}
				@quiet query quiet=1
				log_skip @quiet
				@named query named=1
				log_name @named second
				log_append seen {vars.seen}
				log_append provider {http.delegate.provider}
				header X-Seen "{vars.seen} {vars.both} {word}"
				copy_response_headers {
					include Content-Type
				}
				@own query own=1
				respond @own "{vars.seen} {word}" 203
				@copied not query own=1
				copy_response @copied
			}`, `log {
		output file `+file+`
	}
	log second {
		no_hostname
		output file `+file+`.second
	}
	header X-After {vars.seen}`), "{rp.header.Remote-User}\n", "{rp.header.Remote-User}\n", 1))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	got := u.get(echoPath)
	got.want(t, http.StatusOK, "")
	if want := "200 mydatahelps/hit fine"; got.Header.Get("X-Seen") != want || got.Header.Get("Content-Type") == "" || !strings.Contains(got.body, "BodySHA256") && !strings.Contains(got.body, "bodySHA256") {
		t.Errorf("X-Seen %q, want %q; %v; %s", got.Header.Get("X-Seen"), want, got.Header, got.body)
	}
	if own := u.get(echoPath + "?own=1"); own.StatusCode != 203 || own.body != "200 fine" {
		t.Errorf("respond: %d %q", own.StatusCode, own.body)
	}
	u.get(echoPath+"?quiet=1").want(t, http.StatusOK, "")
	u.get(echoPath+"?named=1").want(t, http.StatusOK, "")
	access, text := lines(t, file, "handled request")
	for _, line := range access {
		if strings.Contains(fmt.Sprint(line), "quiet=1") || strings.Contains(fmt.Sprint(line), "named=1") {
			t.Errorf("in the log: %v", line)
		}
	}
	if len(access) != 3 || !strings.Contains(text, `"seen":200`) && !strings.Contains(text, `"seen":"200"`) || !strings.Contains(text, `"provider":"mydatahelps"`) {
		t.Errorf("%d lines: %s", len(access), text)
	}
	if second, text := lines(t, file+".second", "handled request"); len(second) != 1 || !strings.Contains(text, "named=1") {
		t.Errorf("the second log: %s", text)
	}
}

// TestR9_RefusalsToo protects the same where it is the transport that answers.
func TestR9_RefusalsToo(t *testing.T) {
	s := start(t, proxied(`
			@no header Proxy-Status *
			handle_response @no {
				vars code {http.delegate.code}
				respond "{vars.code} {rp.status_code}" 299
			}`, ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if strings.HasSuffix(r.URL.Path, "Simulator.Echo") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		platform.ServeHTTP(w, r)
	})
	if got := u.get(echoPath); got.StatusCode != 299 || got.body != "upstream_unauthorized 502" {
		t.Errorf("%d %q", got.StatusCode, got.body)
	}
}

// TestR9_LeftOverDials protects the process from a connection to the auth
// server that was begun and not needed, and reads the request's vars when it is
// there (with -race; without it is luck).
func TestR9_LeftOverDials(t *testing.T) {
	s := start(t, proxied("", ""))
	users := make([]*user, 8)
	for i := range users {
		users[i] = signIn(t, s, "alice")
	}
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			for range 40 {
				if got, err := u.try(u.request(http.MethodGet, participantPath, nil)); err != nil || got.StatusCode != http.StatusOK {
					t.Errorf("%v %v", got.Response, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
