// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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
