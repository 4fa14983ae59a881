// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestRevokedTokenHeals protects users from a token that the platform revoked:
// the request is sent again with a new one, body and all.
func TestRevokedTokenHeals(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		u.get(echoPath).want(t, http.StatusOK, "")
		for name, c := range map[string]struct {
			method string
			body   string
		}{
			"get":          {http.MethodGet, ""},
			"post":         {http.MethodPost, `{"a":"b"}`},
			"post at most": {http.MethodPost, strings.Repeat("x", 64<<10)},
		} {
			s.Platform.Reset()
			s.Platform.Revoke(stack.Alice.ID)
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			req := u.request(c.method, echoPath, body)
			got := u.do(req)
			got.want(t, http.StatusOK, "")
			if n := received(t, s).BodySize; n != int64(len(c.body)) {
				t.Errorf("%s: the platform read %d bytes of %d", name, n, len(c.body))
			}
			if counts := s.Platform.Counts(); counts.ParticipantTokens != 1 || counts.Unauthorized != 1 || counts.Delegated != 2 {
				t.Errorf("%s: %+v; want one 401, one new token, two requests", name, counts)
			}
		}
	})
}

// TestStreamedBodyIsNotReplayed protects large uploads: they are streamed, so
// a 401 cannot be healed under way, but the next request has a new token.
func TestStreamedBodyIsNotReplayed(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		u.get(echoPath).want(t, http.StatusOK, "")
		for name, body := range map[string]io.Reader{
			"too large": bytes.NewReader(make([]byte, 64<<10+1)),
			"chunked":   io.MultiReader(strings.NewReader("unknown length")),
		} {
			s.Platform.Reset()
			s.Platform.Revoke(stack.Alice.ID)
			u.do(u.request(http.MethodPost, echoPath, body)).want(t, http.StatusBadGateway, "upstream_unauthorized")
			if counts := s.Platform.Counts(); counts.Delegated != 1 {
				t.Errorf("%s: sent %d times", name, counts.Delegated)
			}
			u.get(echoPath).want(t, http.StatusOK, "")
			if counts := s.Platform.Counts(); counts.ParticipantTokens != 1 {
				t.Errorf("%s: %d new tokens, want 1", name, counts.ParticipantTokens)
			}
		}
	})
}

// TestT38_UpstreamRefusesFreshToken protects the app's session: a platform that
// says 401 forever costs one new token, and is never shown to the browser as a 401.
func TestT38_UpstreamRefusesFreshToken(t *testing.T) {
	over(t, stack.Caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
		s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = nil })
		u.get(echoPath).want(t, http.StatusOK, "")
		s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
		s.Platform.Reset()
		got := u.get(echoPath)
		got.want(t, http.StatusBadGateway, "upstream_unauthorized")
		if got.Header.Get("WWW-Authenticate") != "" {
			t.Error("the browser is asked to authenticate")
		}
		if counts := s.Platform.Counts(); counts.ParticipantTokens != 1 || counts.Delegated != 2 {
			t.Errorf("%+v; want one new token and two requests", counts)
		}
	})
}

// TestOnePersonsTroubleIsTheirs protects everybody else: whatever the platform
// says of one person, the upstream stays healthy, even where the operator has
// reverse_proxy take it out after one failure.
func TestOnePersonsTroubleIsTheirs(t *testing.T) {
	withdrawn := simulator.Participant{ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "withdrawn", WithdrawDate: "2026-01-01T00:00:00Z"}
	denied := simulator.Participant{ID: "dddddddd-4444-4444-8444-444444444444", Identifier: "denied"}
	refused := simulator.Participant{ID: "eeeeeeee-5555-4555-8555-555555555555", Identifier: "refused"}
	s := start(t, proxied("max_fails 1\nfail_duration 1h\nlb_retries 3", ""), stack.Alice, withdrawn, denied, refused)
	s.Platform.Set(func(set *simulator.Settings) {
		set.Unauthorized = []string{denied.ID}
		set.RefusedParticipants = []string{refused.ID}
	})
	good := signIn(t, s, "alice")
	good.get(echoPath).want(t, http.StatusOK, "")

	var wg sync.WaitGroup
	for name, want := range map[string]struct {
		status int
		code   string
	}{
		"stranger":  {http.StatusForbidden, "participant_unknown"},
		"withdrawn": {http.StatusForbidden, "participant_withdrawn"},
		"refused":   {http.StatusForbidden, "delegation_refused"},
		"denied":    {http.StatusBadGateway, "upstream_unauthorized"},
	} {
		bad := signIn(t, s, name)
		wg.Go(func() {
			for range 20 {
				res, err := bad.client.Do(bad.request(http.MethodGet, echoPath, nil))
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != want.status || !strings.Contains(string(body), want.code) {
					t.Errorf("%s: %d %s, want %d %s", name, res.StatusCode, body, want.status, want.code)
					return
				}
			}
		})
	}
	for range 100 {
		good.get(echoPath).want(t, http.StatusOK, "")
	}
	wg.Wait()
	good.get(echoPath).want(t, http.StatusOK, "")
}

// TestChangesAfterThePolicy protects against T53: what is rewritten between
// the two handlers is not what was authorised, and is not sent.
func TestChangesAfterThePolicy(t *testing.T) {
	for name, change := range map[string]string{
		"rewrite": "rewrite /api/v1/administration/x",
		"uri":     "uri replace delegated administration",
		"query":   "uri query +admin true",
		"method":  "method DELETE",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, longForm(change, "dynamic delegate\ntransport delegate"))
			u := signIn(t, s, "alice")
			u.get(echoPath).want(t, http.StatusInternalServerError, "not_delegated")
			if counts := s.Platform.Counts(); counts.Delegated != 0 || counts.Admin > 1 {
				t.Errorf("it was sent all the same: %+v", counts)
			}
		})
	}
	for name, proxy := range map[string]string{
		"inner rewrite":  "dynamic delegate\ntransport delegate\nrewrite /api/v1/administration/x",
		"inner method":   "dynamic delegate\ntransport delegate\nmethod DELETE",
		"other upstream": "to [[.AppAddr]]\ntransport delegate",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, longForm("", proxy))
			u := signIn(t, s, "alice")
			u.get(echoPath).want(t, http.StatusInternalServerError, "not_delegated")
			if counts := s.Platform.Counts(); counts.Delegated != 0 {
				t.Errorf("it was sent all the same: %+v", counts)
			}
		})
	}
	t.Run("no handler", func(t *testing.T) {
		s := start(t, caddyfileOf("", `
	reverse_proxy {
		dynamic delegate
		transport delegate
	}`))
		u := signIn(t, s, "alice")
		u.get(echoPath).want(t, http.StatusInternalServerError, "not_delegated")
		if r := s.Platform.Records(); len(r) != 0 {
			t.Errorf("it was sent all the same: %+v", r)
		}
	})
	t.Run("untouched", func(t *testing.T) {
		s := start(t, longForm("", "dynamic delegate\ntransport delegate"))
		signIn(t, s, "alice").get(echoPath).want(t, http.StatusOK, "")
	})
}

// longForm is a site with the two handlers by hand and something between them.
func longForm(between, proxy string) string {
	return caddyfileOf("", `
	handle_path /mdh/* {
		route {`+stack.SignIn+`
			delegate mydatahelps {
				subject {rp.header.Remote-User}
			}
			`+between+`
			reverse_proxy {
				`+proxy+`
			}
		}
	}`)
}
