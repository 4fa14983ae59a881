// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// loginProduct is a login in the form that its documentation gives. What each is
// from stands on the page, at "Facts".
type loginProduct struct {
	name    string                      // the heading of its block
	user    func(n int) any             // how it names its users: a string, or a number
	signOut string                      // the method of its sign-out. Empty: POST
	ids     []any                       // other forms of names that it gives
	cookie  string                      // what holds the session. Empty: a bearer
	bearer  bool                        // whether a bearer counts beside the cookie
	wrap    func(session string) string // what the cookie's value is. Nil: the session
	cut     int                         // how long a cookie gets before it is cut. 0: it is not
	client  string                      // the claim that tells whom a token is for. Empty: none does
	others  map[string][]any            // what it gives out that is no session: see [productServer.other]

	signed *signedLogin // one of the two
	asked  *askedLogin

	// logoutToken are the claims of its logout tokens, besides those that all
	// have. Nil: it sends none.
	logoutToken func(user any) map[string]any
}

// signedLogin is one whose sessions are signed.
type signedLogin struct {
	keys   string                               // the path of its keys
	format func(kid string, key publicSide) any // how it publishes them. Nil: as a JSON Web Key Set
	alg    jose.SignatureAlgorithm
	typ    string
	secret string // the file of the secret, for HMAC
	claims func(user any, now time.Time) map[string]any
}

// askedLogin is one that has to be asked about its sessions.
type askedLogin struct {
	path     string                     // of the question
	subject  string                     // where the answer names the user
	value    func(random string) string // what a session looks like. Nil: as it is
	answer   func(user any, now time.Time) map[string]any
	expire   func(answer map[string]any, ended time.Time) // Nil: the answer does not tell of the end
	nobody   func(w http.ResponseWriter)
	question func(r *http.Request) bool // whether it takes the question for one. Nil: any
}

// publicSide is a key as its issuer publishes it.
type publicSide struct {
	crypto.PublicKey
	private crypto.Signer
}

// signingKeys are made once: all that matters of them is that they differ.
var signingKeys = sync.OnceValue(func() (all struct {
	rsa [4]*rsa.PrivateKey
	ec  [4]*ecdsa.PrivateKey
},
) {
	for i := range all.rsa {
		var err error
		if all.rsa[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
		if all.ec[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			panic(err)
		}
	}
	return all
})

// forger is the key that no issuer has.
const forger = 3

// productServer is a product's issuer, or the app that uses it.
type productServer struct {
	*httptest.Server
	t      testing.TB
	p      *loginProduct
	logout string // where the app signs out, and whether the request gets there
	ends   bool
	secret string // for HMAC
	next   string // that it signs with after rotate

	mu       sync.Mutex
	key      int // of signingKeys
	sessions map[string]http.HandlerFunc
	asked    int
}

func newProductServer(t testing.TB, p *loginProduct) *productServer {
	t.Helper()
	srv := &productServer{t: t, p: p, sessions: make(map[string]http.HandlerFunc)}
	srv.Server = httptest.NewServer(srv)
	t.Cleanup(srv.Close)
	return srv
}

// ServeHTTP answers for issuer and app. What the product does not have, neither
// has this.
func (srv *productServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.p.signed != nil && srv.p.signed.keys != "" && r.URL.Path == srv.p.signed.keys && r.Method == http.MethodGet:
		srv.writeJSON(w, srv.published())
	case srv.p.asked != nil && r.URL.Path == srv.p.asked.path:
		srv.asked++
		answer, ok := srv.sessions[srv.carried(r)]
		if !ok || srv.p.asked.question != nil && !srv.p.asked.question(r) {
			srv.p.asked.nobody(w)
			return
		}
		answer(w, r)
	case r.URL.Path == srv.logout && r.Method != http.MethodGet:
		delete(srv.sessions, srv.carried(r))
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func (srv *productServer) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		srv.t.Error(err)
	}
}

// carried is the session of a question: that of an introspection stands in its
// body.
func (srv *productServer) carried(r *http.Request) string {
	if token := r.PostFormValue("token"); token != "" {
		return token
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	if c, err := r.Cookie(srv.p.cookie); err == nil {
		return c.Value
	}
	var pieces strings.Builder
	for n := 0; ; n++ {
		c, err := r.Cookie(fmt.Sprintf("%s.%d", srv.p.cookie, n))
		if err != nil {
			return pieces.String()
		}
		pieces.WriteString(c.Value)
	}
}

// rotate has another key sign from now on.
func (srv *productServer) rotate() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.key++
	srv.secret = srv.next
}

func (srv *productServer) signer(n int) (kid string, key crypto.Signer) {
	if strings.HasPrefix(string(srv.p.signed.alg), "ES") {
		return fmt.Sprintf("key-%d", n), signingKeys().ec[n]
	}
	return fmt.Sprintf("key-%d", n), signingKeys().rsa[n]
}

// published are the keys as the product publishes them.
func (srv *productServer) published() any {
	kid, key := srv.signer(srv.key)
	side := publicSide{key.Public(), key}
	if srv.p.signed.format != nil {
		return srv.p.signed.format(kid, side)
	}
	return map[string]any{"keys": []any{side.jwk(kid, srv.p.signed.alg)}}
}

// jwk is the key as RFC 7517 has it.
func (s publicSide) jwk(kid string, alg jose.SignatureAlgorithm) map[string]any {
	number := func(n *big.Int, size int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	k := map[string]any{"kid": kid, "use": "sig", "alg": string(alg)}
	switch key := s.PublicKey.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", number(key.N, key.Size()), "AQAB"
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		k["kty"], k["crv"] = "EC", "P-256"
		k["x"], k["y"] = base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	}
	return k
}

// session is one of a user, in the form of the product. change may be nil.
func (srv *productServer) session(user any, change func(claims map[string]any)) string {
	srv.t.Helper()
	if srv.p.signed != nil {
		claims := srv.p.signed.claims(user, time.Now())
		if change != nil {
			change(claims)
		}
		return srv.token(claims)
	}
	answer := srv.p.asked.answer(user, time.Now())
	if change != nil {
		change(answer)
	}
	return srv.put(func(w http.ResponseWriter, _ *http.Request) { srv.writeJSON(w, answer) })
}

// put makes a session that is answered about as given.
func (srv *productServer) put(answer http.HandlerFunc) string {
	value := rand.Text()
	if srv.p.asked.value != nil {
		value = srv.p.asked.value(value)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sessions[value] = answer
	return value
}

// revoke ends a session at the issuer.
func (srv *productServer) revoke(value string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, value)
}

// token signs claims as the product does.
func (srv *productServer) token(claims map[string]any) string {
	srv.t.Helper()
	kid, key := srv.signer(srv.current())
	return srv.sign(claims, kid, key, srv.secret)
}

// current is which of the signingKeys signs.
func (srv *productServer) current() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.key
}

// questions is how often it was asked about sessions.
func (srv *productServer) questions() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.asked
}

// headerType is a claim that becomes the token's header `typ`.
const headerType = "header:typ"

// sign signs with the key, or with the secret if there is one.
func (srv *productServer) sign(claims map[string]any, kid string, key crypto.Signer, secret string) string {
	srv.t.Helper()
	signing := jose.SigningKey{Algorithm: srv.p.signed.alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}
	if secret != "" {
		signing.Key = []byte(secret)
	}
	typ := srv.p.signed.typ
	said := make(map[string]any, len(claims))
	for name, v := range claims {
		if name == headerType {
			typ = v.(string)
			continue
		}
		said[name] = v
	}
	return signedText(srv.t, signing, typ, said)
}

// other makes what is no session: a text is that credential, a function changes
// the claims of one of the user's sessions, a handler is what is answered about
// one, and a set of claims is signed with a secret of the issuer's own.
func (srv *productServer) other(user, what any) string {
	srv.t.Helper()
	switch what := what.(type) {
	case string:
		return what
	case func(map[string]any):
		return srv.session(user, what)
	case http.HandlerFunc:
		return srv.put(what)
	case func(user any) map[string]any:
		return signedWithSecret(srv.t, strings.Repeat("the issuer's own ", 4), jose.HS512, what(user))
	default:
		srv.t.Fatalf("%T is nothing that a product gives out", what)
		return ""
	}
}

// signedWithSecret is a token that is signed with a secret.
func signedWithSecret(t testing.TB, secret string, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	return signedText(t, jose.SigningKey{Algorithm: alg, Key: []byte(secret)}, "JWT", claims)
}

func signedText(t testing.TB, key jose.SigningKey, typ string, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
