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
	to(http.MethodGet, "api/v1/administration/projects/*/participants/*", "", (*call).getParticipant),
}

func (c *call) serveAdmin() {
	// One quota for the project, so even an unauthenticated request's answer can show it.
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
	case c.token.Kind != kind:
		c.refuse(http.StatusUnauthorized, "the token is of the wrong kind")
	default:
		return true
	}
	return false
}

func (c *call) refuse(status int, reason string) {
	c.recordReason(reason)
	message := "Authorization has been denied for this request."
	if status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	c.fail(status, message)
}

func (c *call) listParticipants() {
	q := c.URL.Query()
	number, size, ok := c.numberedPage()
	if !ok {
		return
	}
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

// numberedPage reads pageNumber, from 0, and pageSize, or answers 400 and false.
func (c *call) numberedPage() (number, size int, ok bool) {
	q := c.URL.Query()
	number, ok1 := pageParam(q.Get("pageNumber"), 0)
	size, ok2 := pageParam(q.Get("pageSize"), maxPageSize)
	if !ok1 || !ok2 {
		c.fail(http.StatusBadRequest, "pageNumber and pageSize are whole numbers")
		return 0, 0, false
	}
	return number, min(max(size, 1), maxPageSize), true
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
