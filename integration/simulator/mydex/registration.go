// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"strconv"
	"strings"
)

// registration asks for a new MydexID, and for the link by which its member
// connects. The password is checked and forgotten: a simulator has none to keep.
type registration struct {
	setup
	Email    string `json:"email"`
	Password string `json:"password"`
}

// serveRegistration answers POST /api/pds of the older form: the link, as a bare
// JSON string.
func (c *call) serveRegistration() {
	if refused := c.checkOldForm(); refused != nil {
		c.refuse(refused)
		return
	}
	var r registration
	if !c.decode(&r) {
		return
	}
	id := ""
	if r.MydexID != nil {
		id = *r.MydexID
	}
	switch name, at, _ := strings.Cut(r.Email, "@"); {
	case id == "" || strings.ContainsFunc(id, notAlphanumeric):
		c.fail(http.StatusBadRequest, "The MydexID must consist of letters and numbers.")
		return
	case name == "" || at == "":
		c.fail(http.StatusBadRequest, "The email address is not valid.")
		return
	case len(r.Password) < 8 || strings.EqualFold(r.Password, id):
		c.fail(http.StatusBadRequest, "The password needs 8 characters at least, and must not be the MydexID.")
		return
	}
	// The link is asked for first: a refused one registers nobody.
	unnamed := r.setup
	unnamed.MydexID, unnamed.Version = nil, nil
	if refused := c.checkLink(unnamed); refused != nil {
		c.refuse(refused)
		return
	}
	if !c.sim.people.register(id) {
		c.fail(http.StatusBadRequest, "The MydexID is taken.")
		return
	}
	named := unnamed
	named.MydexID = &id
	link, refused := c.link(kindConnect, named)
	if refused != nil {
		c.refuse(refused)
		return
	}
	c.json(http.StatusOK, link)
}

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

// register adds a member of that name; false if there is one, in any case of letters.
func (r *registry) register(mydexID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := 4020
	for _, p := range r.members {
		if strings.EqualFold(p.MydexID, mydexID) {
			return false
		}
		if n, err := strconv.Atoi(p.UID); err == nil {
			uid = max(uid, n+1)
		}
	}
	r.members = append(r.members, Member{UID: strconv.Itoa(uid), MydexID: mydexID})
	return true
}
