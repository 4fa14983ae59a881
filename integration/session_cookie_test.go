// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// cut makes Cookie headers of a value as Auth.js and others do: in pieces that
// browsers keep.
func cut(name, value string) (pieces []string) {
	const size = 3900
	for i := 0; i*size < len(value); i++ {
		pieces = append(pieces, name+"."+strconv.Itoa(i)+"="+value[i*size:min((i+1)*size, len(value))])
	}
	return pieces
}

// TestC6_Pieces protects users with large sessions, over every protocol: what was
// cut into cookies is one session, for keys and for the app, which gets the pieces
// as they came; and what is left of one is nobody's.
func TestC6_Pieces(t *testing.T) {
	const (
		authJS = "__Secure-authjs.session-token"
		auth0  = "appSession"
	)
	l := newLogin(t)
	large := map[string]any{"groups": strings.Repeat("a group of many ", 400)}
	var known atomic.Value // the session that the app has given out
	known.Store("")
	var heard atomic.Value
	var once sync.Once
	caddyfile := `{` + stack.Options + `
	delegate {` + stack.Provider + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {
		app_session {
			cookie   ` + authJS + `
			bearer
			jwks     ` + l.URL + `/jwks
			issuer   ` + l.URL + `
			audience app
		}
		delegate_proxy mydatahelps
	}
	handle_path /app/* {
		app_session {
			cookie ` + auth0 + `
			session_endpoint http://[[.AppAddr]]/joins {
				cache 0
			}
		}
		delegate_proxy mydatahelps
	}
}
`
	over(t, caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
		once.Do(func() { // the app is one for all protocols
			s.App.Handle("/joins", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				heard.Store(r.Header.Get("Cookie"))
				var joined strings.Builder
				for i := 0; ; i++ {
					c, err := r.Cookie(auth0 + "." + strconv.Itoa(i))
					if err != nil {
						break
					}
					joined.WriteString(c.Value)
				}
				if joined.String() != known.Load() {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = io.WriteString(w, `{"sub":"alice"}`)
			}))
		})
		get := func(path string, cookies ...string) answer {
			headers := make([]string, 0, 2*len(cookies))
			for _, c := range cookies {
				headers = append(headers, "Cookie", c)
			}
			return u.do(u.with(http.MethodGet, path, headers...))
		}
		session := l.session("alice", large)
		pieces := cut(authJS, session)
		if len(pieces) < 2 {
			t.Fatalf("%d pieces", len(pieces))
		}
		reversed := slices.Clone(pieces)
		slices.Reverse(reversed)
		for name, cookies := range map[string][]string{
			"one header":       {"theme=dark; " + strings.Join(pieces, "; ") + "; x=y"},
			"several":          pieces,
			"in another order": reversed,
			"and the whole":    {authJS + "=" + l.session("alice", nil) + "; " + authJS + ".0=left; " + authJS + ".1=over"},
		} {
			got := get(participantPath, cookies...)
			if got.want(t, http.StatusOK, ""); !strings.Contains(got.body, stack.Alice.ID) {
				t.Errorf("%s: somebody else: %s", name, got.body)
			}
		}
		before := s.Platform.Counts()
		other := cut(authJS, l.session("bob", large))
		for name, cookies := range map[string][]string{
			"the first alone":     pieces[:1],
			"the last alone":      pieces[len(pieces)-1:],
			"one between missing": {pieces[0], authJS + ".2=" + strings.TrimPrefix(pieces[1], authJS+".1=")},
			"of two people":       {pieces[0], other[len(other)-1]},
			"one twice":           append(slices.Clone(pieces), pieces[0]),
			"by another name":     cut("authjs.session-token", session),
			"too many":            {many(authJS, session)},
		} {
			if got := get(participantPath, cookies...); got.StatusCode != http.StatusUnauthorized || got.code() != "session_required" {
				t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
			}
			// A bearer beside what is left of a cookie counts no more than beside one.
			if name != "by another name" {
				req := u.with(http.MethodGet, participantPath, "Authorization", "Bearer "+l.session("alice", nil))
				req.Header["Cookie"] = cookies
				u.do(req).want(t, http.StatusUnauthorized, "session_required")
			}
		}
		if got := s.Platform.Counts(); got != before {
			t.Errorf("the platform was asked: %+v, before %+v", got, before)
		}

		known.Store("eyJlbmMi" + strings.Repeat("opaque-0123_456.", 400))
		pieces = cut(auth0, known.Load().(string))
		const ofApp = "/app/api/v1/delegated/participant"
		got := get(ofApp, "theme=dark; "+strings.Join(pieces, "; "))
		if got.want(t, http.StatusOK, ""); !strings.Contains(got.body, stack.Alice.ID) || heard.Load() != strings.Join(pieces, "; ") {
			t.Errorf("the app was sent %.80s…", heard.Load())
		}
		get(ofApp, pieces[1]).want(t, http.StatusUnauthorized, "session_required")
		get(ofApp, pieces[0]).want(t, http.StatusUnauthorized, "session_required") // the app knows no such session
	})
}

// many cuts a value into more pieces than are joined.
func many(name, value string) string {
	var all []string
	for i := range 20 {
		all = append(all, name+"."+strconv.Itoa(i)+"="+value[i*10:(i+1)*10])
	}
	return strings.Join(all, "; ")
}

// TestC20_BearerInACookie protects users of apps whose cookie says Bearer before the
// token, in each way that frameworks write the blank, for keys, issuer and app.
func TestC20_BearerInACookie(t *testing.T) {
	l := newLogin(t)
	session := func(kind string) string {
		return "\n\t\tapp_session {\n\t\t\tcookie session\n\t\t\t" + kind + "\n\t\t}\n"
	}
	const answers = "\t\trespond \"{http.auth.user.id}\""
	keys := session("jwks " + l.URL + "/jwks\n\t\t\tissuer " + l.URL + "\n\t\t\taudience app")
	s := newStack(t)
	token := l.session("alice", nil)
	var heard atomic.Value
	s.App.Handle("/introspect", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") != token {
			_, _ = io.WriteString(w, `{"active":false}`)
			return
		}
		_, _ = io.WriteString(w, `{"active":true,"sub":"alice","aud":"app"}`)
	}))
	s.App.Handle("/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Store(r.Header.Get("Cookie"))
		_, _ = io.WriteString(w, `{"sub":"alice"}`)
	}))
	load(t, s, `{`+stack.Options+`
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {`+keys+`
		delegate_proxy mydatahelps
	}
	handle /keys {`+keys+answers+`
	}
	handle /issuer {`+session("introspect http://[[.AppAddr]]/introspect {\n\t\t\t\tclient_id a\n\t\t\t\tclient_secret b\n\t\t\t\taudience app\n\t\t\t\tcache 0\n\t\t\t}\n\t\t\trealm r")+answers+`
	}
	handle /app {`+session("session_endpoint http://[[.AppAddr]]/me {\n\t\t\t\tcache 0\n\t\t\t}")+answers+`
	}
}
`)
	u := signIn(t, s, "alice")
	get := func(path, value string) answer {
		return u.do(u.with(http.MethodGet, path, "Cookie", "theme=dark; session="+value))
	}
	for _, value := range []string{
		token, `"Bearer ` + token + `"`, "Bearer " + token, "bearer " + token, "Bearer%20" + token, "Bearer+" + token, "%22Bearer%20" + token + "%22",
	} {
		for _, path := range []string{"/keys", "/issuer", "/app"} {
			if got := get(path, value); got.StatusCode != http.StatusOK || got.body != "alice" {
				t.Errorf("%s %.20s: %d %s", path, value, got.StatusCode, got.body)
			}
		}
		if heard.Load() != "session="+value {
			t.Errorf("the app was sent %.30s for %.20s", heard.Load(), value)
		}
	}
	forged := token[:len(token)-10] + strings.Repeat("A", 10)
	for _, value := range []string{
		`"Bearer ` + forged + `"`, "Basic " + token, "Bearer%20", "Bearer " + token + " x", "Bearer%20" + token + "%0d%0aX-Evil:%201", "Token%20" + token, "Bearer%20Bearer%20" + token,
	} {
		for _, path := range []string{"/keys", "/issuer"} {
			get(path, value).want(t, http.StatusUnauthorized, "session_required")
		}
	}
	// It is a cookie all the same, which browsers send for other sites' pages too.
	proxied := func(headers ...string) answer {
		return u.do(u.with(http.MethodGet, participantPath, append(headers, "Cookie", `session="Bearer `+token+`"`)...))
	}
	proxied().want(t, http.StatusOK, "")
	proxied("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").want(t, http.StatusForbidden, "cross_origin")
}
