// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"net/http"
	"strconv"
)

func (c *call) serveIdentity() {
	s := c.segments
	if len(s) > 1 && s[0] == "members" {
		c.serveMembers()
		return
	}
	at := func(n int, first, second string) bool {
		return len(s) == n && s[0] == first && (second == "" || s[1] == second)
	}
	switch {
	case at(2, "ftc", "setup"):
		if c.only(http.MethodPost) {
			c.serveSetup(kindConnect)
		}
	case at(1, "identify", ""):
		if c.only(http.MethodPost) {
			c.serveSetup(kindIdentify)
		}
	case at(5, "ftc", "begin"):
		if c.only(http.MethodGet) {
			c.serveBegin(kindConnect, s[2], s[3], s[4])
		}
	case at(3, "identify", ""):
		if c.only(http.MethodGet) {
			c.serveBegin(kindIdentify, s[1], s[2], "1")
		}
	case at(2, "ftc", "sign-in"):
		if c.only(http.MethodPost) {
			c.serveSignIn()
		}
	case at(3, "ftc", "agreement"):
		if c.only(http.MethodGet) {
			c.serveAgreement(s[2])
		}
	case at(2, "ftc", "agreement"):
		if c.only(http.MethodPost) {
			c.serveDecision()
		}
	default:
		c.fail(http.StatusNotFound, "no such resource")
	}
}

func (c *call) only(method string) bool {
	if c.Method != method {
		c.notAllowed(method)
		return false
	}
	return true
}

// serveBegin opens the link and asks who is there.
func (c *call) serveBegin(kind, nid, token, version string) {
	j, reason := c.sim.flows.open(token, c.now, c.settings, func(j *consentFlow) bool {
		return j.kind == kind && nid == c.sim.nid && version == strconv.Itoa(j.version)
	})
	if reason != "" {
		c.showError(http.StatusGone, reason)
		return
	}
	c.page(http.StatusOK, signInPage, map[string]any{"Journey": j.id, "MydexID": j.mydexID, "Members": c.sim.Members()})
}

// serveSignIn takes the word of whoever says who they are: a simulator has no
// passwords to keep.
func (c *call) serveSignIn() {
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	id := c.PostFormValue("journey")
	p, ok := c.sim.people.byUID(c.PostFormValue("member"))
	if !ok {
		c.showError(http.StatusBadRequest, "There is no such member.")
		return
	}
	j, reason := c.sim.flows.update(id, func(j *consentFlow) string {
		if j.mydexID != "" && j.mydexID != p.MydexID && !c.settings.AnyMember {
			return "This link was made for another member."
		}
		j.member = p
		j.decided = j.kind == kindIdentify // there is nothing to agree to
		return ""
	})
	switch {
	case reason != "":
		c.showError(http.StatusForbidden, reason)
	case j.kind == kindIdentify:
		c.report(c.callback(j, Connection{UID: p.UID, MydexID: p.MydexID}), j.returnTo)
	default:
		c.seeOther("/ftc/agreement/" + id)
	}
}

// serveAgreement shows what the member is asked to agree to.
func (c *call) serveAgreement(id string) {
	j, reason := c.sim.flows.update(id, func(j *consentFlow) string {
		if j.member.UID == "" {
			return "Sign in first."
		}
		return ""
	})
	if reason != "" {
		c.showError(http.StatusForbidden, reason)
		return
	}
	c.page(http.StatusOK, agreementPage, map[string]any{
		"Journey": id, "MydexID": j.member.MydexID, "Update": j.version > 1, "NID": c.sim.nid, "Datasets": c.sim.datasets,
	})
}

// serveDecision ends the consent flow.
func (c *call) serveDecision() {
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	decision := c.PostFormValue("decision")
	j, reason := c.sim.flows.update(c.PostFormValue("journey"), func(j *consentFlow) string {
		switch {
		case j.member.UID == "":
			return "Sign in first."
		case decision != "agree" && decision != "decline":
			return "Agree or decline."
		}
		j.decided = true
		return ""
	})
	if reason != "" {
		c.showError(http.StatusForbidden, reason)
		return
	}
	if decision == "decline" {
		c.count(func(n *Counts) { n.Declines++ })
		c.seeOther(j.returnTo)
		return
	}
	c.count(func(n *Counts) { n.Agreements++ })
	connection := c.sim.people.connect(j.member, c.sim.nid, j.version, j.version > 1 || c.settings.KeepKey)
	c.report(c.callback(j, connection), j.returnTo)
}

// report reports to the subscriber, or puts that off, and sends the browser back.
func (c *call) report(p pendingCallback, returnTo string) {
	switch c.settings.Callback {
	case "before":
		// The member may close the window: the report goes out nevertheless.
		c.sim.deliver(context.WithoutCancel(c.Context()), p)
	case "held":
		c.sim.outbox.hold(p)
	}
	c.seeOther(returnTo)
}

// seeOther does not use http.Redirect, which would tidy the address up.
func (c *call) seeOther(to string) {
	c.w.Header().Set("Location", to)
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusSeeOther)
}
