// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

const maxPageSize = 100

var adminRoutes = []route{
	to(http.MethodGet, "api/v1/administration/projects/*/participants", "", (*call).listParticipants),
	to(http.MethodPut, "api/v1/administration/projects/*/participants", "", (*call).putParticipant),
	to(http.MethodPost, "api/v1/administration/projects/*/participants", "", (*call).postParticipants),
	to(http.MethodGet, "api/v1/administration/projects/*/participants/*", "", (*call).getParticipant),
}

func (c *call) serveAdmin() {
	// One quota for the project, so even a stranger's answer can show it.
	c.meter("", c.settings.AdminQuota, 0)
	if !c.authenticate(kindService) || !c.spend("", c.settings.AdminQuota) {
		return
	}
	r := c.pick(adminRoutes)
	if r == nil {
		return
	}
	if !strings.EqualFold(c.args[0], c.sim.projectID) {
		c.fail(http.StatusNotFound, "no such project")
		return
	}
	r.handle(c)
}

// authenticate refuses whatever is no live token of the kind.
func (c *call) authenticate(kind string) bool {
	switch {
	case c.record.TokenKind == kindNone:
		c.refuse(http.StatusUnauthorized, "no token")
	case c.token == nil:
		c.refuse(http.StatusUnauthorized, "unknown token")
	case !c.live:
		c.refuse(http.StatusUnauthorized, "expired or revoked token")
	case c.token.kind != kind:
		c.refuse(c.settings.KindMismatchStatus, "the token is of the wrong kind")
	default:
		return true
	}
	return false
}

func (c *call) refuse(status int, reason string) {
	c.refused(reason)
	message := "Authorization has been denied for this request."
	if status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	c.fail(status, message)
}

func (c *call) listParticipants() {
	q := c.URL.Query()
	number, ok1 := pageParam(q.Get("pageNumber"), 0)
	size, ok2 := pageParam(q.Get("pageSize"), maxPageSize)
	if !ok1 || !ok2 {
		c.fail(http.StatusBadRequest, "pageNumber and pageSize are whole numbers")
		return
	}
	size = min(max(size, 1), maxPageSize)
	ascending := strings.EqualFold(q.Get("sortAscending"), "true")

	var match func(*Participant) bool
	if param := c.settings.ListFilterParam; param != "" && q.Has(param) {
		field, want := c.settings.ListFilterField, q.Get(param)
		match = func(p *Participant) bool { return p.CustomFields[field] == want }
	}
	page, total := c.sim.people.page(number, size, ascending, match)
	participants := make([]map[string]any, len(page))
	for i, p := range page {
		participants[i] = adminView(p)
	}
	c.count(func(n *Counts) { n.ListPages++ })
	c.json(http.StatusOK, map[string]any{"totalParticipants": total, "participants": participants, "pageNumber": number, "pageSize": size})
}

func pageParam(s string, fallback int) (int, bool) {
	if s == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}

func (c *call) getParticipant() {
	c.count(func(n *Counts) { n.Lookups++ })
	p := c.sim.people.byIdentifier(c.args[1], c.settings.CaseInsensitiveLookup)
	if p == nil && c.settings.LookupByID {
		p = c.sim.people.byID(c.args[1])
	}
	if p == nil {
		c.fail(http.StatusNotFound, "no such participant")
		return
	}
	c.json(http.StatusOK, adminView(p))
}

// adminView is a participant as the administrative API shows them.
func adminView(p *Participant) map[string]any {
	v := map[string]any{
		"id":                        p.ID,
		"participantIdentifier":     p.Identifier,
		"linkIdentifier":            guidOf("link", p.ID),
		"secondaryIdentifier":       "",
		"enrolled":                  true,
		"enrollmentDate":            p.InsertedDate,
		"insertedDate":              p.InsertedDate,
		"withdrawDate":              nil,
		"invitationStatus":          "approved",
		"institutionCode":           "",
		"excludeFromExport":         false,
		"accountEmail":              nil,
		"accountMobilePhone":        nil,
		"viewParticipantRecordLink": nil,
		"demographics":              demographics(p),
		"customFields":              orEmpty(p.CustomFields),
	}
	if p.WithdrawDate != "" {
		v["withdrawDate"] = p.WithdrawDate
	}
	return v
}

func demographics(p *Participant) map[string]string {
	d := map[string]string{"timeZone": "America/Los_Angeles", "utcOffset": "-07:00:00", "unsubscribedFromEmails": "false"}
	maps.Copy(d, p.Demographics)
	if p.FirstName != "" {
		d["firstName"] = p.FirstName
	}
	if p.LastName != "" {
		d["lastName"] = p.LastName
	}
	return d
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// participantChange is what both APIs accept in a write.
type participantChange struct {
	Identifier   string            `json:"participantIdentifier"`
	WithdrawDate *string           `json:"withdrawDate"`
	Demographics map[string]string `json:"demographics"`
	CustomFields map[string]string `json:"customFields"`
}

// apply merges what is given; the rest stays.
func (w *participantChange) apply(p *Participant) {
	for k, v := range w.Demographics {
		switch k {
		case "firstName":
			p.FirstName = v
		case "lastName":
			p.LastName = v
		default:
			if p.Demographics == nil {
				p.Demographics = make(map[string]string)
			}
			p.Demographics[k] = v
		}
	}
	for k, v := range w.CustomFields {
		if p.CustomFields == nil {
			p.CustomFields = make(map[string]string)
		}
		p.CustomFields[k] = v
	}
}

// save adds or updates by identifier. It returns nil if the participant exists
// and may not be updated.
func (c *call) save(w participantChange, update bool) map[string]any {
	action := "updated"
	p := c.sim.people.byIdentifier(w.Identifier, false)
	change := func(p *Participant) {
		w.apply(p)
		if w.WithdrawDate != nil {
			p.WithdrawDate = *w.WithdrawDate
		}
	}
	switch {
	case p == nil:
		added := Participant{Identifier: w.Identifier}
		change(&added)
		p, _ = c.sim.people.put(added, c.now)
		action = "added"
	case update:
		p = c.sim.people.update(p.ID, change)
	default:
		p = nil
	}
	if p == nil {
		return map[string]any{"actionTaken": "none"}
	}
	return map[string]any{"actionTaken": action, "participant": adminView(p)}
}

func (c *call) putParticipant() {
	var w participantChange
	if !c.read(&w) {
		return
	}
	if w.Identifier == "" {
		c.fail(http.StatusBadRequest, "participantIdentifier is missing")
		return
	}
	c.count(func(n *Counts) { n.ParticipantWrites++ })
	c.json(http.StatusOK, c.save(w, true))
}

func (c *call) postParticipants() {
	var body struct {
		Participants []participantChange `json:"participants"`
	}
	if !c.read(&body) {
		return
	}
	c.count(func(n *Counts) { n.ParticipantWrites++ })
	update := strings.EqualFold(c.URL.Query().Get("allowUpdate"), "true")
	added, updated, results := 0, 0, make([]any, 0, len(body.Participants))
	for _, w := range body.Participants {
		if w.Identifier == "" {
			results = append(results, map[string]any{"actionTaken": "none"})
			continue
		}
		r := c.save(w, update)
		switch r["actionTaken"] {
		case "added":
			added++
		case "updated":
			updated++
		}
		results = append(results, map[string]any{"actionTaken": r["actionTaken"], "result": r["participant"]})
	}
	c.json(http.StatusOK, map[string]any{"totalAdded": added, "totalUpdated": updated, "results": results})
}
