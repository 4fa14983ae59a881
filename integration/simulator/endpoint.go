// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// tokenPath is the token endpoint's path.
const tokenPath = "/identityserver/connect/token"

// Scopes are all a participant token may have. The platform documents them,
// but Project:read, which its own dashboard asks for.
var Scopes = []string{
	"api", "AppleHealthActivitySummaries:read", "AppleHealthWorkouts:read", "CustomEvents:write",
	"DataCollectionSettings:read", "DeviceData:read", "DeviceData:write", "ExternalAccounts:connect",
	"ExternalAccounts:read", "ExternalAccounts:write", "File:read", "File:write", "FitbitDataSummary:read",
	"FitbitDailySummaries:read", "FitbitSleepLogs:read", "Notifications:read", "Participant:read",
	"Project:read", "SurveyAnswers:read", "SurveyResults:write", "SurveyTasks:read",
}

// oauthError is an error code of RFC 6749 with a reason for the records.
type oauthError struct{ code, reason string }

func (c *call) serveToken() {
	if c.settings.ClockSkew != 0 {
		c.w.Header().Set("Date", c.issuerTime().UTC().Format(http.TimeFormat))
	}
	if len(c.segments) != 3 || !strings.EqualFold(c.segments[2], "token") {
		c.fail(http.StatusNotFound, "no such resource")
		return
	}
	if c.Method != http.MethodPost {
		c.w.Header().Set("Allow", http.MethodPost)
		c.fail(http.StatusMethodNotAllowed, "this resource does not know the method")
		return
	}
	form, refusal := c.tokenForm()
	if refusal == nil {
		refusal = c.grantToken(form)
	}
	if refusal != nil {
		c.refuseToken(http.StatusBadRequest, refusal)
	}
}

func (c *call) refuseToken(status int, e *oauthError) {
	c.recordReason(e.reason)
	c.count(func(n *Counts) { n.TokenRefusals++ })
	c.w.Header().Set("Cache-Control", "no-store")
	c.json(status, map[string]string{"error": e.code})
}

// tokenForm reads the form from the body alone: what is in the query does not count.
func (c *call) tokenForm() (url.Values, *oauthError) {
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, &oauthError{"invalid_request", "the body is not form-encoded"}
	}
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		return nil, &oauthError{"invalid_request", "the form cannot be read"}
	}
	for name, values := range c.PostForm {
		if len(values) > 1 {
			return nil, &oauthError{"invalid_request", "the field " + name + " is there twice"} // RFC 6749 section 3.2
		}
	}
	return c.PostForm, nil
}

// grantToken judges in the order of IdentityServer: client, grant type, scope,
// payload of the grant.
func (c *call) grantToken(form url.Values) *oauthError {
	kind, refusal := c.tokenClient(form)
	if refusal != nil {
		return refusal
	}
	want := map[string]string{kindService: "client_credentials", kindParticipant: "delegated_participant"}[kind]
	if form.Get("grant_type") != want {
		return &oauthError{"unsupported_grant_type", "grant_type is not the one this client may use"}
	}
	scopes := strings.Fields(form.Get("scope"))
	known := Scopes
	if kind == kindService {
		known = []string{"api"}
	}
	if len(scopes) == 0 {
		return &oauthError{"invalid_scope", "scope is missing"}
	}
	for _, s := range scopes {
		if !slices.Contains(known, s) {
			return &oauthError{"invalid_scope", "the scope " + s + " is unknown"}
		}
	}
	t := control.Token{Kind: kind, Scopes: scopes}
	lifetime := c.settings.ServiceTokenLifetime
	if kind == kindParticipant {
		lifetime = c.settings.ParticipantTokenLifetime
		p, refusal := c.tokenParticipant(form)
		if refusal != nil {
			return refusal
		}
		t.Owner = p.ID
	}
	if c.settings.TokenError != "" && c.hits(kind) {
		status := c.settings.TokenErrorStatus
		if status == 0 {
			status = http.StatusBadRequest
		}
		c.refuseToken(status, &oauthError{c.settings.TokenError, "the setting tokenError"})
		return nil
	}
	t.Expires = c.now.Add(time.Duration(lifetime) * time.Second)
	c.answerToken(t, lifetime)
	return nil
}

// tokenClient authenticates the client and returns the kind of token it may have.
func (c *call) tokenClient(form url.Values) (kind string, refusal *oauthError) {
	if scheme, _, _ := strings.Cut(c.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		return "", &oauthError{"invalid_client", "HTTP Basic names no known client"}
	}
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		if form.Get("client_assertion_type") != assertionType {
			return "", &oauthError{"invalid_client", "client_assertion_type is not " + assertionType}
		}
		if form.Has("client_id") && form.Get("client_id") != c.sim.account {
			return "", &oauthError{"invalid_client", "client_id is not the service account"}
		}
		if err := c.checkAssertion(form.Get("client_assertion"), control.Base(c.Request)+tokenPath); err != nil {
			return "", &oauthError{"invalid_client", err.Error()}
		}
		return kindService, nil
	}
	if !slices.Contains(clientIDs, form.Get("client_id")) {
		return "", &oauthError{"invalid_client", "client_id is none of the accepted ones"}
	}
	if form.Get("client_secret") != "secret" {
		return "", &oauthError{"invalid_client", `client_secret is not "secret"`}
	}
	return kindParticipant, nil
}

// tokenParticipant checks the payload of the delegated grant.
func (c *call) tokenParticipant(form url.Values) (*Participant, *oauthError) {
	if t, live := c.sim.tokens.Find(form.Get("token"), c.now); !live || t.Kind != kindService {
		return nil, &oauthError{"invalid_grant", "token is no live service token"}
	}
	id := form.Get("participant_id")
	if !isGUID(id) {
		return nil, &oauthError{"invalid_grant", "participant_id is no GUID"}
	}
	id = strings.ToLower(id)
	c.count(func(*Counts) { c.record.ParticipantID = id })
	p := c.sim.people.byID(id)
	switch {
	case p == nil:
		return nil, &oauthError{"invalid_grant", "participant_id names nobody in the project"}
	case p.WithdrawDate != "":
		return nil, &oauthError{"invalid_grant", "the participant is withdrawn"}
	case slices.Contains(c.settings.RefusedParticipants, p.ID):
		return nil, &oauthError{"invalid_grant", "the setting refusedParticipants"}
	}
	return p, nil
}

// hits tells whether the bad answers are meant for this kind of token.
func (c *call) hits(kind string) bool {
	switch c.settings.TokenAnswerGrant {
	case "service":
		return kind == kindService
	case "delegated":
		return kind == kindParticipant
	}
	return true
}

// answerToken mints the token and answers with it, or with a bad answer.
func (c *call) answerToken(t control.Token, lifetime int) {
	token := reference()
	c.sim.tokens.Issue(token, t, c.now)
	c.count(func(n *Counts) {
		if t.Kind == kindService {
			n.ServiceTokens++
		} else {
			n.ParticipantTokens++
		}
	})
	c.w.Header().Set("Cache-Control", "no-store")
	good := map[string]any{"access_token": token, "expires_in": lifetime, "token_type": "Bearer"}
	if bad := tokenAnswers[c.settings.TokenAnswer]; bad != nil && c.hits(t.Kind) {
		bad(c, good, t.Scopes)
		return
	}
	c.json(http.StatusOK, good)
}
