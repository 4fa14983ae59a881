// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// setup asks for a link that a member connects by. Null and absent are one.
type setup struct {
	ConnectionNID       string  `json:"connection_nid"`
	ConnectionTokenHash string  `json:"connection_token_hash"`
	ReturnTo            string  `json:"return_to"`
	MydexID             *string `json:"mydexid"`
	Version             *int    `json:"version"`
	LinkingToken        *string `json:"linking_token"`
}

// serveSetup answers POST /ftc/setup and POST /identify.
func (c *call) serveSetup(kind string) {
	if refused := c.checkBearer(ScopePDX); refused != nil {
		c.refuse(refused)
		return
	}
	var s setup
	b, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		c.fail(http.StatusBadRequest, "The request body is not the JSON object expected here")
		return
	}
	link, refused := c.link(kind, s)
	if refused != nil {
		c.refuse(refused)
		return
	}
	code, err := qrCode(link)
	if err != nil {
		c.fail(http.StatusBadRequest, "The link is too long for a QR code")
		return
	}
	c.json(http.StatusCreated, struct {
		URL string `json:"url"`
		QR  string `json:"qr"`
	}{link, code})
}

// checkLink looks at what every link needs.
func (c *call) checkLink(s setup) *refusal {
	to, err := url.Parse(s.ReturnTo)
	switch {
	case s.ConnectionNID == "" || s.ConnectionTokenHash == "" || s.ReturnTo == "":
		return bad("connection_nid, connection_token_hash and return_to are required.")
	case s.ConnectionNID != c.sim.nid || subtle.ConstantTimeCompare([]byte(s.ConnectionTokenHash), []byte(c.sim.hash)) != 1:
		return bad("The connection does not exist, or its token is another.")
	case err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http":
		return bad("return_to is not an absolute URL.")
	}
	return nil
}

// link checks what was asked for and makes the one-time address.
func (c *call) link(kind string, s setup) (string, *refusal) {
	j := consentFlow{kind: kind, version: 1, returnTo: s.ReturnTo, linkingToken: s.LinkingToken}
	if s.Version != nil && kind == kindConnect {
		j.version = *s.Version
	}
	if s.MydexID != nil && kind == kindConnect {
		j.mydexID = *s.MydexID
	}
	refused := c.checkLink(s)
	switch {
	case refused != nil:
		return "", refused
	case j.version < 1:
		return "", bad("version is not a number above 0.")
	case j.version > 1 && j.mydexID == "":
		return "", bad("mydexid is required when version is above 1.")
	}
	if j.mydexID != "" {
		if _, ok := c.sim.people.byMydexID(j.mydexID); !ok {
			return "", bad("Member does not exist.")
		}
	}
	base := *c.sim.loginURL.Load()
	if base == "" {
		base = control.Base(c.Request)
	}
	token := c.sim.flows.add(j, c.now)
	if kind == kindIdentify {
		return base + "/identify/" + c.sim.nid + "/" + token, nil
	}
	return base + "/ftc/begin/" + c.sim.nid + "/" + token + "/" + strconv.Itoa(j.version), nil
}
