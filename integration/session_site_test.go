// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"maps"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// signed is a token by a key, which it names unless the name is empty.
func signed(t testing.TB, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions).WithType("JWT")
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with are claims with some that are changed; nil removes one.
func with(claims, change map[string]any) map[string]any {
	all := maps.Clone(claims)
	for name, v := range change {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	return all
}

// newRealm is a realm in which nobody has signed out: that is remembered for as
// long as the process runs.
func newRealm() string { return rand.Text() }

// sessionSite is a Caddyfile with an app_session of the settings before
// delegate_proxy, a logout, and a page that tells who is signed in.
func sessionSite(settings string) string {
	return `{` + stack.Options + `
	delegate {` + stack.Provider + `
	}
}
(session) {
	app_session {
		bearer
		` + settings + `
		{block}
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {
		import session
		delegate_proxy mydatahelps
	}
	handle /who {
		import session
		respond "{http.auth.user.id}"
	}
	handle /logout {
		import session {
			optional
		}
		delegate_logout
		respond "signed out"
	}
}
`
}

// as asks with a session in the header.
func (u *user) as(method, path, session string) answer {
	u.t.Helper()
	return u.do(u.with(method, path, "Authorization", "Bearer "+session))
}
