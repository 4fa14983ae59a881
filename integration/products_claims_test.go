// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func forgedCase(t *testing.T, r *productRun) {
	session := r.server.session(r.user(caseUser), nil)
	if r.signed == nil {
		r.refused(t, session[:len(session)-4]+"AAAA")
		return
	}
	// The right words under the right name, by another key.
	kid, _ := r.server.signer(r.server.current())
	_, key := r.server.signer(forger)
	secret := r.server.secret
	if secret != "" {
		secret = strings.Repeat("another-secret--", 4)
	}
	r.notServed(t, r.server.sign(r.signed.claims(r.user(caseUser), time.Now()), kid, key, secret))
	r.notServed(t, session[:strings.LastIndexByte(session, '.')+1])
	head, rest, _ := strings.Cut(session, ".")
	_, signature, _ := strings.Cut(rest, ".")
	claims, err := json.Marshal(r.signed.claims(r.user(firstUser), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	r.notServed(t, head+"."+base64.RawURLEncoding.EncodeToString(claims)+"."+signature)
}

func unsignedCase(t *testing.T, r *productRun) {
	claims, err := json.Marshal(r.signed.claims(r.user(caseUser), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"none", "None", ""} {
		head := fmt.Sprintf(`{"alg":%q,"typ":%q,"kid":"key-0"}`, alg, r.signed.typ)
		r.refused(t, base64.RawURLEncoding.EncodeToString([]byte(head))+"."+base64.RawURLEncoding.EncodeToString(claims)+".")
	}
}

// confusedCase signs with what everybody knows as if it were a secret.
func confusedCase(t *testing.T, r *productRun) {
	_, key := r.server.signer(r.server.current())
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), string(der)} {
		r.refused(t, signedWithSecret(t, secret, jose.HS256, r.signed.claims(r.user(caseUser), time.Now())))
	}
}

func otherIssuerCase(t *testing.T, r *productRun) {
	for _, issuer := range []any{"https://evil.example.org", "", nil, []string{"a"}} {
		session := r.server.session(r.user(caseUser), func(claims map[string]any) { claims["iss"] = issuer })
		if _, text := issuer.(string); r.asked != nil && issuer != nil && !text {
			r.notServed(t, session) // the answer is no answer
			continue
		}
		r.refused(t, session)
	}
}

func otherClientCase(t *testing.T, r *productRun) {
	for _, client := range []any{"another", []string{"another", "account"}, nil} {
		r.refused(t, r.server.session(r.user(caseUser), func(claims map[string]any) {
			claims[r.loginProduct.client] = client
			if client == nil {
				delete(claims, r.loginProduct.client)
			}
		}))
	}
}

func expiredCase(t *testing.T, r *productRun) {
	ended := time.Now().Add(-time.Hour)
	switch {
	case r.signed != nil:
		session := r.server.token(r.signed.claims(r.user(caseUser), time.Now().Add(-40*24*time.Hour)))
		r.refused(t, session)
		r.refused(t, r.server.session(r.user(caseUser), func(claims map[string]any) { claims["exp"] = ended.Unix() }))
	case r.asked.expire != nil:
		r.refused(t, r.server.session(r.user(caseUser), func(answer map[string]any) { r.asked.expire(answer, ended) }))
	}
	if r.asked != nil {
		// What has ended is nobody's to who is asked, whenever it says so.
		session := r.server.session(r.user(caseUser), nil)
		r.server.revoke(session)
		r.refused(t, session)
	}
}
