// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// signedOutCase signs out at the app, or at the issuer and then here, as the page
// says. Another user notices nothing.
func signedOutCase(t *testing.T, r *productRun) {
	user, other := r.user(signedOutUser), r.user(firstUser)
	session, others := r.server.session(user, nil), r.server.session(other, nil)
	r.served(t, user, r.headers(session)...)
	r.served(t, other, r.headers(others)...)
	if !r.server.ends {
		r.server.revoke(session) // by the page itself, where there is something to revoke
	}
	signOut := func() answer {
		return r.client.do(r.client.with(cmp.Or(r.signOut, http.MethodPost), r.server.logout, r.headers(session)...))
	}
	if a := signOut(); a.StatusCode != http.StatusNoContent {
		t.Fatalf("the logout is answered %d %s", a.StatusCode, a.body)
	}
	r.refused(t, session)
	r.served(t, other, r.headers(others)...)
	// Who has no session any more can still sign out.
	if a := signOut(); a.StatusCode != http.StatusNoContent {
		t.Errorf("the second logout is answered %d %s", a.StatusCode, a.body)
	}
}

// backchannelCase has the issuer tell of a sign-out.
func backchannelCase(t *testing.T, r *productRun) {
	user := r.user(backchannelUser)
	var said map[string]any
	session := r.server.session(user, func(claims map[string]any) { said = claims })
	r.served(t, user, r.headers(session)...)
	now := time.Now()
	claims := map[string]any{
		"iss": said["iss"], "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, headerType: "logout+jwt",
	}
	maps.Copy(claims, r.logoutToken(said))
	tell := func(token string) answer {
		req := r.client.with(http.MethodPost, "/backchannel-logout", "Content-Type", "application/x-www-form-urlencoded")
		body := url.Values{"logout_token": {token}}.Encode()
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return r.client.do(req)
	}
	kid, _ := r.server.signer(r.server.current())
	_, key := r.server.signer(forger)
	for name, wrong := range map[string]string{
		"a session": session, "another client's": r.server.token(withClaim(claims, "aud", "another")), "forged": r.server.sign(claims, kid, key, ""),
	} {
		if a := tell(wrong); a.StatusCode == http.StatusOK {
			t.Errorf("%s is taken for a logout token", name)
		}
	}
	r.served(t, user, r.headers(session)...)
	if a := tell(r.server.token(claims)); a.StatusCode != http.StatusOK {
		t.Fatalf("the logout token is answered %d %s", a.StatusCode, a.body)
	}
	r.refused(t, session)
	// Nor is the logout token a session.
	r.refused(t, r.server.token(withClaim(claims, "jti", rand.Text())))
}

func withClaim(claims map[string]any, name string, v any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = v
	return changed
}
