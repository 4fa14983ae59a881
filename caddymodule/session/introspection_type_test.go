// SPDX-License-Identifier: Apache-2.0

package session

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestC33_IntrospectionTokenType protects from refresh tokens where an issuer
// tells them from access tokens by saying no type: what has another one than
// was asked for, or none, lets nobody in.
func TestC33_IntrospectionTokenType(t *testing.T) {
	for answer, want := range map[string]string{
		`,"token_type":"Bearer"`:   "",
		`,"token_type":"bearer"`:   "",
		``:                         required,
		`,"token_type":null`:       required,
		`,"token_type":""`:         required,
		`,"token_type":"DPoP"`:     required,
		`,"token_type":"Bearer "`:  required,
		`,"Token_type":"Bearer"`:   required,
		`,"token_type":true`:       unknowable,
		`,"token_type":["Bearer"]`: unknowable,
	} {
		issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"active":true,"sub":"alice","client_id":"app","iss":"`+testIssuer+`"`+answer+`}`)
		}))
		v := introspection(issuer.Client())
		v.URL, v.AudienceClaim, v.TokenType = issuer.URL, "client_id", "Bearer"
		s, err := v.Verify(t.Context(), Credential{Text: askedCredential, Source: InBearer})
		if got := outcome(t, s, err); got != want {
			t.Errorf("%s: %q, want %q: %v", answer, got, want, err)
		}
		issuer.Close()
	}
}
