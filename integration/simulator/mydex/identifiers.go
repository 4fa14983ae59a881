// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The scopes of the identity service's calls about members.
const (
	ScopeIdentifiers = "mydex:identifiers"
	ScopeMyAccount   = "mydex:myaccount"
	ScopeScotAccount = "mydex:scotaccount"
)

// inviteLifetime is how long an invitation is pending. What the platform's is, is
// not documented.
const inviteLifetime = 7 * 24 * time.Hour

// identifierAuth says what an identifier is for.
type identifierAuth struct {
	ParentUUID string `json:"parent_uuid"`
	AppURL     string `json:"app_url"`
	ClientID   string `json:"client_id"`
	ConNID     string `json:"con_nid"`
	OrgID      string `json:"org_id"`
	ProjectID  string `json:"project_id"`
	ItemID     string `json:"item_id"`
	Type       string `json:"type"`
}

func (a identifierAuth) complete() bool {
	return !slices.Contains([]string{a.ParentUUID, a.AppURL, a.ClientID, a.ConNID, a.OrgID, a.ProjectID, a.ItemID, a.Type}, "")
}

// invite is an invitation as the API shows it.
type invite struct {
	Success int    `json:"success"`
	Code    string `json:"invite_url_code"`
	identifierAuth
	made time.Time
	used bool
}

// identifiers are invitations and notifications that were sent.
type identifiers struct {
	mu       sync.Mutex
	invites  map[string]*invite // by code
	notified map[string]bool    // by identifier
}

// Identifier is what notifications and invitations name the member by.
func (p Member) Identifier() string { return uuidOf("identifier", p.UID) }

// MyAccountSVT is the token by which MyAccount vouches for the member.
func (p Member) MyAccountSVT() string { return "svt" + p.UID }

// ScotAccountSub is what ScotAccount calls the member.
func (p Member) ScotAccountSub() string { return uuidOf("scotaccount", p.UID) }

func uuidOf(kind, uid string) string {
	sum := sha256.Sum256([]byte(kind + " " + uid))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}

// UseInvite has an invitation be used, as when its member has registered. It
// returns false if there is none of that code.
func (m *Mydex) UseInvite(code string) bool {
	m.identifiers.mu.Lock()
	defer m.identifiers.mu.Unlock()
	if i := m.identifiers.invites[code]; i != nil {
		i.used = true
		return true
	}
	return false
}

// serveMembers serves /members/… of the identity service.
func (c *call) serveMembers() {
	s := strings.Join(c.segments[1:], "/")
	kind, value, _ := strings.Cut(s, "/")
	switch {
	case s == "notify":
		c.member(http.MethodPost, ScopeIdentifiers, (*call).notify)
	case s == "notify/status":
		c.member(http.MethodPatch, ScopeIdentifiers, (*call).notifyStatus)
	case s == "invite":
		c.member(http.MethodPost, ScopeIdentifiers, (*call).invite)
	case s == "invite/status":
		c.member(http.MethodPost, ScopeIdentifiers, (*call).inviteStatus)
	case len(c.segments) != 3:
		c.fail(http.StatusNotFound, "no such resource")
	case kind == "invite":
		c.member(http.MethodGet, ScopeIdentifiers, func(c *call) { c.showInvite(value) })
	case kind == "myaccount":
		c.member(http.MethodGet, ScopeMyAccount, func(c *call) { c.lookup(value, Member.MyAccountSVT) })
	case kind == "scotaccount":
		c.member(http.MethodGet, ScopeScotAccount, func(c *call) { c.lookup(value, Member.ScotAccountSub) })
	default:
		c.fail(http.StatusNotFound, "no such resource")
	}
}

func (c *call) member(method, scope string, serve func(*call)) {
	if !c.only(method) {
		return
	}
	if refused := c.checkBearer(scope); refused != nil {
		c.refuse(refused)
		return
	}
	serve(c)
}

// decode reads a JSON body, or answers 400 and false.
func (c *call) decode(v any) bool {
	b, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		c.fail(http.StatusBadRequest, "The request body is not the JSON object expected here")
	}
	return err == nil
}

// known tells whether a member has the identifier, or answers 400.
func (c *call) known(a identifierAuth) bool {
	if !a.complete() {
		c.fail(http.StatusBadRequest, "A required field is missing.")
		return false
	}
	if _, ok := c.sim.people.find(func(p Member) bool { return p.Identifier() == a.ParentUUID }); !ok {
		c.fail(http.StatusBadRequest, "Member does not exist.")
		return false
	}
	return true
}

type identified struct {
	Success    int    `json:"success"`
	Identifier string `json:"identifier"`
}

func (c *call) notify() {
	var body struct {
		Auth  identifierAuth `json:"identifier_auth"`
		Email string         `json:"message_email"`
	}
	if !c.decode(&body) || !c.known(body.Auth) {
		return
	}
	if body.Email == "" {
		c.fail(http.StatusBadRequest, "message_email is required.")
		return
	}
	identifier := uuidOf("notification", secret(12))
	all := &c.sim.identifiers
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.notified == nil {
		all.notified = make(map[string]bool)
	}
	all.notified[identifier] = true
	c.json(http.StatusOK, identified{1, identifier})
}

func (c *call) notifyStatus() {
	var body struct {
		Identifier string `json:"identifier"`
	}
	if !c.decode(&body) {
		return
	}
	c.sim.identifiers.mu.Lock()
	ok := c.sim.identifiers.notified[body.Identifier]
	c.sim.identifiers.mu.Unlock()
	if !ok {
		c.fail(http.StatusBadRequest, "Identifier does not exist.")
		return
	}
	c.json(http.StatusOK, identified{1, body.Identifier})
}

// inviteBody is what invites are asked for, and about: the parent is called
// identifier there.
type inviteBody struct {
	identifierAuth
	Identifier string `json:"identifier"`
	Email      string `json:"message_email"`
}

func (c *call) readInvite() (inviteBody, bool) {
	var body inviteBody
	if !c.decode(&body) {
		return body, false
	}
	body.ParentUUID = body.Identifier
	return body, c.known(body.identifierAuth)
}

func (c *call) invite() {
	body, ok := c.readInvite()
	if !ok {
		return
	}
	if body.Email == "" {
		c.fail(http.StatusBadRequest, "message_email is required.")
		return
	}
	i := &invite{Success: 1, Code: strings.ReplaceAll(uuidOf("invite", secret(12))[:13], "-", ""), identifierAuth: body.identifierAuth, made: c.now}
	all := &c.sim.identifiers
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.invites == nil {
		all.invites = make(map[string]*invite)
	}
	all.invites[i.Code] = i
	c.json(http.StatusOK, i)
}

func (c *call) showInvite(code string) {
	c.sim.identifiers.mu.Lock()
	defer c.sim.identifiers.mu.Unlock()
	if i := c.sim.identifiers.invites[code]; i != nil {
		c.json(http.StatusOK, i)
		return
	}
	c.fail(http.StatusBadRequest, "Invite does not exist.")
}

func (c *call) inviteStatus() {
	body, ok := c.readInvite()
	if !ok {
		return
	}
	answer := struct {
		Success int    `json:"success"`
		Status  string `json:"status"`
	}{}
	var latest *invite
	c.sim.identifiers.mu.Lock()
	defer c.sim.identifiers.mu.Unlock()
	for _, i := range c.sim.identifiers.invites {
		if i.identifierAuth == body.identifierAuth && (latest == nil || i.made.After(latest.made)) {
			latest = i
		}
	}
	if latest != nil {
		answer.Success, answer.Status = 1, "pending"
		switch {
		case latest.used:
			answer.Status = "used"
		case c.now.Sub(latest.made) >= inviteLifetime:
			answer.Status = "expired"
		}
	}
	c.json(http.StatusOK, answer)
}

// lookup answers with the MydexID of whom another service calls so: a bare string.
func (c *call) lookup(value string, name func(Member) string) {
	p, ok := c.sim.people.find(func(p Member) bool { return name(p) == value })
	if !ok {
		c.fail(http.StatusBadRequest, "Member does not exist.")
		return
	}
	c.json(http.StatusOK, p.MydexID)
}
