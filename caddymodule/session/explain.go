// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// CredentialFinding is the result of one check of a credential.
type CredentialFinding struct {
	// Name is the claim, the header field or the property that was checked.
	Name string
	// Detail is its value, or why that is not accepted and which setting or change
	// would mend it. It holds nothing of a signature, and of the person nothing but
	// the names of claims.
	Detail string
	// OK is whether the check has passed.
	OK bool
	// Skipped is whether the check was not made; Detail says why.
	Skipped bool
}

// Explainer is a verifier that can tell an operator why it accepts a credential, or does
// not.
type Explainer interface {
	Verifier
	// Explain makes all checks, also those behind the first that fails. All are OK if
	// and only if Verify accepts the credential.
	Explain(ctx context.Context, credential Credential) []CredentialFinding
}

// Explain returns the findings of a verifier about a credential, of one that is wrapped in
// a [Cache] or [RemoteVerifier] as well; nil if it cannot explain.
func Explain(ctx context.Context, v Verifier, credential Credential) []CredentialFinding {
	switch v := v.(type) {
	case *Cache:
		return Explain(ctx, v.verifier, credential)
	case *RemoteVerifier:
		return Explain(ctx, v.verifier, credential)
	case Explainer:
		return v.Explain(ctx, credential)
	default:
		return nil
	}
}

// Explain implements [Explainer].
func (j *JWT) Explain(ctx context.Context, credential Credential) []CredentialFinding {
	header, d, err := decodeUnverified(credential.Text)
	if err != nil {
		return []CredentialFinding{{Name: "form", Detail: err.Error()}}
	}
	all := []CredentialFinding{{Name: "form", Detail: "a signed JWT", OK: true}}
	all = append(all, j.explainHeader(header, credential.Text)...)
	all = append(all, j.explainSignature(ctx, header, credential.Text))
	s := j.newSession(d)
	for _, check := range j.claimChecks() {
		f := CredentialFinding{Name: check.claim}
		if err := check.check(d, s); err != nil {
			f.Detail = err.Error() + j.claimHint(check.claim, d)
		} else {
			f.OK, f.Detail = true, j.describeClaim(check.claim, d, s)
		}
		if !f.OK || f.Detail != "" {
			all = append(all, f)
		}
	}
	return all
}

// decodeUnverified returns header and claims of a token without verifying it. The error
// says what the text is instead.
func decodeUnverified(text string) (header, payload claims, err error) {
	parts := strings.Split(text, ".")
	if len(text) > maxCredential || len(parts) != 3 {
		return nil, nil, errors.New(describeNonJWT(parts))
	}
	for i, to := range []*claims{&header, &payload} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			*to, err = decodeClaims(decoded)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("it has three parts as a JWT has, but part %d cannot be read: it was cut, or changed on the way", i+1)
		}
	}
	if !isCanonicalJWT(text) {
		return nil, nil, errors.New("it can be read as a JWT, but is not written as one: it was changed on the way")
	}
	return header, payload, nil
}

// describeNonJWT says what a credential is that is no JWT, by its parts between dots.
func describeNonJWT(parts []string) string {
	switch {
	case len(parts) == 5:
		return "it is encrypted (a JWE), so that its app alone can read it: ask the app with `session_endpoint`"
	case len(parts) > 1 && strings.HasPrefix(parts[0], "eyJ"):
		return fmt.Sprintf("it begins as a JWT and has %d parts in place of 3: it was cut, or is signed by the app in a way of its own; ask the app with `session_endpoint`", len(parts))
	default:
		return "it is opaque, no JWT: if it is an access token ask its issuer with `introspect`, if it is a session of the app ask that with `session_endpoint`"
	}
}

// explainHeader checks `alg`, `typ` and the rest of the header.
func (j *JWT) explainHeader(header claims, text string) []CredentialFinding {
	used, _ := header["alg"].(string)
	alg := CredentialFinding{Name: "alg", Detail: printableClaim(used), OK: slices.Contains(j.Algorithms, jose.SignatureAlgorithm(used))}
	if !alg.OK {
		alg.Detail = fmt.Sprintf("%s, and allowed are %v%s", cmp.Or(printableClaim(used), "it names none"), j.Algorithms, algorithmHint(used, j.Algorithms))
	}
	kind, given := header["typ"].(string)
	typ := CredentialFinding{Name: "typ", Detail: cmp.Or(printableClaim(kind), "it has none"), OK: slices.Contains(j.types(), mediaType(kind)) && (given || header["typ"] == nil)}
	if !typ.OK {
		typ.Detail = fmt.Sprintf("%s, and allowed is %s: if the issuer calls its sessions that, write `type %s`; logout tokens and proofs of possession are no sessions",
			cmp.Or(printableClaim(kind), "no text"), strings.Join(j.types(), ", "), cmp.Or(printableClaim(kind), "<name>"))
		if j.Type == "" {
			typ.Detail = strings.Replace(typ.Detail, "allowed is , ", "allowed is none, ", 1)
		}
	}
	all := []CredentialFinding{alg, typ}
	if _, err := j.parse(text, j.types()); err != nil && alg.OK && typ.OK {
		all = append(all, CredentialFinding{Name: "header", Detail: delegation.AsRefusal(err).Unwrap().Error()})
	}
	return all
}

// algorithmHint says which setting an algorithm needs that is not allowed.
func algorithmHint(used string, allowed []jose.SignatureAlgorithm) string {
	symmetric := slices.Contains(allowed, jose.HS256) || slices.Contains(allowed, jose.HS512)
	switch name := jose.SignatureAlgorithm(used); {
	case slices.Contains(jwks.SymmetricAlgorithms, name) && !symmetric:
		return ": it is signed with a shared secret: write `hmac_secret` in place of the keys"
	case slices.Contains(jwks.AsymmetricAlgorithms, name) && symmetric:
		return ": it is signed with a private key: write `jwks` or `public_key` in place of `hmac_secret`"
	case slices.Contains(jwks.SymmetricAlgorithms, name) || slices.Contains(jwks.AsymmetricAlgorithms, name):
		return ": write `algorithms` with it, if the issuer has such a key"
	default:
		return ": none that is safe"
	}
}

// explainSignature verifies the signature.
func (j *JWT) explainSignature(ctx context.Context, header claims, text string) CredentialFinding {
	f := CredentialFinding{Name: "signature"}
	kind, _ := header["typ"].(string)
	token, err := j.parse(text, []string{mediaType(kind)})
	if err != nil {
		f.Skipped, f.Detail = true, "its header does not allow it; what follows is what the token says, whoever has written it"
		return f
	}
	kid, _ := header["kid"].(string)
	if _, err = j.Keys.VerifySignature(ctx, token); err == nil {
		f.OK, f.Detail = true, "by a key that is trusted"
		if kid != "" {
			f.Detail += ", kid " + printableClaim(kid)
		}
		return f
	}
	f.Detail = delegation.Explain(err)
	if kid != "" {
		f.Detail += "; its kid is " + printableClaim(kid)
	}
	if fixed, ok := j.Keys.(*jwks.StaticKeySet); ok && fixed.SignedByDecodedSecret(token) {
		f.Detail += "; the secret, decoded from base64, has: the app decodes it, so give the decoded bytes"
	}
	f.Detail += "; what follows is what the token says, whoever has written it"
	return f
}
