// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// productRun is a product's block in a running Caddy.
type productRun struct {
	*loginProduct
	stack  *stack.Stack
	server *productServer
	text   string // of the block, as it is loaded
	client *user
}

// productCase is something that is tried with a product.
type productCase struct {
	name string
	try  func(t *testing.T, r *productRun)
}

// cases are those that make sense for the product. Each has users of its own, so
// that none depends on another.
func (p *loginProduct) cases() []productCase {
	all := []productCase{
		{"Signed_in", signedInCase},
		{"Ids", idsCase},
		{"Nobody", nobodyCase},
		{"Forged", forgedCase},
		{"Expired", expiredCase},
		{"Twice", twiceCase},
		{"Elsewhere", elsewhereCase},
		{"Signed_out", signedOutCase},
	}
	if p.client != "" {
		all = append(all, productCase{"Other_client", otherClientCase})
	}
	if p.tellsIssuer() {
		all = append(all, productCase{"Other_issuer", otherIssuerCase})
	}
	if p.signed != nil {
		all = append(all, productCase{"Unsigned", unsignedCase})
	}
	if p.signed != nil && p.signed.secret == "" {
		all = append(all, productCase{"Confused", confusedCase})
	}
	if p.asked != nil {
		all = append(all, productCase{"Wrong_answer", wrongAnswerCase})
	}
	if p.cut > 0 {
		all = append(all, productCase{"Pieces", piecesCase})
	}
	if p.logoutToken != nil {
		all = append(all, productCase{"Backchannel", backchannelCase})
	}
	for _, name := range slices.Sorted(maps.Keys(p.others)) {
		all = append(all, productCase{name, func(t *testing.T, r *productRun) {
			for _, what := range r.others[name] {
				r.refused(t, r.server.other(r.user(caseUser), what))
			}
		}})
	}
	return all
}

func (p *loginProduct) tellsIssuer() bool {
	if p.signed != nil {
		return p.signed.claims(p.user(0), time.Now())["iss"] != nil
	}
	return p.asked.answer(p.user(0), time.Now())["iss"] != nil
}

// The users of the cases.
const (
	caseUser = iota // of whatever is refused
	firstUser
	secondUser
	signedOutUser
	backchannelUser
	productUsers
)

// headers carry a session as the product's clients do.
func (r *productRun) headers(session string) []string {
	if r.cookie == "" {
		return []string{"Authorization", "Bearer " + session}
	}
	return []string{"Cookie", "theme=dark; " + strings.Join(r.pieces(session), "; ")}
}

// pieces are the cookies of a session: one, or several where the product cuts what
// one cannot hold.
func (r *productRun) pieces(session string) []string {
	if r.wrap != nil {
		session = r.wrap(session)
	}
	if r.cut == 0 || len(session) <= r.cut {
		return []string{r.cookie + "=" + session}
	}
	var all []string
	for piece := range slices.Chunk([]byte(session), r.cut) {
		all = append(all, fmt.Sprintf("%s.%d=%s", r.cookie, len(all), piece))
	}
	return all
}

func (r *productRun) get(t *testing.T, headers ...string) answer {
	t.Helper()
	a, err := r.client.try(r.client.with(http.MethodGet, participantPath, headers...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// served wants a session to be its user's.
func (r *productRun) served(t *testing.T, user any, headers ...string) {
	t.Helper()
	a := r.get(t, headers...)
	a.want(t, http.StatusOK, "")
	var participant struct {
		Identifier string `json:"participantIdentifier"`
	}
	if err := json.Unmarshal([]byte(a.body), &participant); err != nil || participant.Identifier != fmt.Sprint(user) {
		t.Errorf("%v is served as %q: %v", user, participant.Identifier, err)
	}
}

// refused wants a credential to be nobody's, and the platform not to hear of it.
func (r *productRun) refused(t *testing.T, session string) {
	t.Helper()
	r.nobody(t, r.headers(session)...)
}

func (r *productRun) nobody(t *testing.T, headers ...string) {
	t.Helper()
	before := r.stack.Platform.Counts()
	r.get(t, headers...).want(t, http.StatusUnauthorized, "session_required")
	if after := r.stack.Platform.Counts(); after != before {
		t.Errorf("the platform heard of it: %+v, before %+v", after, before)
	}
}

func signedInCase(t *testing.T, r *productRun) {
	for _, user := range []any{r.user(firstUser), r.user(secondUser)} {
		session := r.server.session(user, nil)
		r.served(t, user, r.headers(session)...)
		r.served(t, user, r.headers(session)...)
		if r.cookie != "" && r.bearer {
			r.served(t, user, "Authorization", "Bearer "+r.server.session(user, nil))
		}
	}
}

// idsCase tries the forms of names that the product gives.
func idsCase(t *testing.T, r *productRun) {
	for _, id := range r.ids {
		r.served(t, id, r.headers(r.server.session(id, nil))...)
	}
}

func nobodyCase(t *testing.T, r *productRun) {
	r.nobody(t)
	if r.asked == nil {
		r.refused(t, "not.a.token")
		return
	}
	before := r.server.questions()
	unknown := "unknown"
	if r.asked.value != nil {
		unknown = r.asked.value(unknown)
	}
	r.refused(t, unknown)
	r.refused(t, unknown)
	if n := r.server.questions() - before; n != 1 {
		t.Errorf("asked %d times about the session that is nobody's", n)
	}
}

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

// twiceCase has two parties read two different sessions.
func twiceCase(t *testing.T, r *productRun) {
	one, two := r.server.session(r.user(caseUser), nil), r.server.session(r.user(firstUser), nil)
	first, second := r.headers(one), r.headers(two)
	if r.cookie != "" {
		r.nobody(t, "Cookie", first[1]+"; "+second[1])
	}
	r.nobody(t, append(first, second...)...)
}

// elsewhereCase has a session where the product does not put it.
func elsewhereCase(t *testing.T, r *productRun) {
	session := r.server.session(r.user(caseUser), nil)
	switch {
	case r.cookie == "":
		r.nobody(t, "Cookie", "session="+session)
		r.nobody(t, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+session)))
	case !r.bearer:
		r.nobody(t, "Authorization", "Bearer "+session)
		fallthrough
	default:
		r.nobody(t, "Cookie", "x-"+r.cookie+"="+session)
	}
	r.nobody(t, "X-Session-Token", session)
}

// piecesCase has a browser send some of the pieces of a session, or others.
func piecesCase(t *testing.T, r *productRun) {
	all := r.pieces(r.server.session(r.user(firstUser), nil))
	others := r.pieces(r.server.session(r.user(secondUser), nil))
	n := len(all) - 1
	if n < 1 {
		t.Fatal("it is in one piece")
	}
	send := func(pieces ...string) []string { return []string{"Cookie", strings.Join(pieces, "; ")} }
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	r.served(t, r.user(firstUser), send(backwards...)...)
	r.nobody(t, send(all[:n]...)...)
	r.nobody(t, send(all[1:]...)...)
	if r.wrap == nil { // otherwise the session may be whole in what is left of it
		r.nobody(t, send(append(all[:n:n], others[n])...)...)
	}
	r.nobody(t, send(append(all, others[n])...)...)
	r.nobody(t, send(append(all, r.cookie+"=x")...)...)
}

// notServed wants a session to let nobody in, whether its user can be told to
// sign in again or not: it cannot while the issuer may have a newer key, or while
// who is asked gives no answer.
func (r *productRun) notServed(t *testing.T, session string) {
	t.Helper()
	before := r.stack.Platform.Counts()
	a := r.get(t, r.headers(session)...)
	switch a.StatusCode {
	case http.StatusUnauthorized:
		a.want(t, http.StatusUnauthorized, "session_required")
	default:
		a.want(t, http.StatusServiceUnavailable, "session_unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to try again")
		}
	}
	if after := r.stack.Platform.Counts(); after != before {
		t.Errorf("the platform heard of it: %+v, before %+v", after, before)
	}
}

// wrongAnswerCase has the app or issuer answer what is no user.
func wrongAnswerCase(t *testing.T, r *productRun) {
	for _, subject := range []any{true, 1.5, []any{"a"}, map[string]any{"a": "b"}, "", nil, strings.Repeat("a", 2000)} {
		r.notServed(t, r.server.session(r.user(caseUser), func(answer map[string]any) { setAt(answer, r.asked.subject, subject) }))
	}
	for _, answer := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>") },
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		func(w http.ResponseWriter) { http.Redirect(w, new(http.Request), "/login", http.StatusFound) },
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"active":true,"user":{"id":"a`) },
	} {
		r.notServed(t, r.server.put(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	}
}

// setAt sets what an answer says at a path of names.
func setAt(answer map[string]any, path string, v any) {
	name, rest, more := strings.Cut(path, ".")
	if !more {
		answer[name] = v
		return
	}
	inner := maps.Clone(answer[name].(map[string]any))
	answer[name] = inner
	setAt(inner, rest, v)
}

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
	session := r.server.session(user, nil)
	r.served(t, user, r.headers(session)...)
	now := time.Now()
	claims := map[string]any{
		"iss": r.signed.claims(user, now)["iss"], "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "logout-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, headerType: "logout+jwt",
	}
	maps.Copy(claims, r.logoutToken(user))
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
	r.refused(t, r.server.token(withClaim(claims, "jti", "logout-2")))
}

func withClaim(claims map[string]any, name string, v any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = v
	return changed
}
