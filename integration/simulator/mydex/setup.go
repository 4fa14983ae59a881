// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
	c.json(http.StatusCreated, struct {
		URL string `json:"url"`
		QR  string `json:"qr"`
	}{link, qr(link)})
}

// link checks what was asked for and makes the one-time address.
func (c *call) link(kind string, s setup) (string, *refusal) {
	j := journey{kind: kind, version: 1, returnTo: s.ReturnTo, linkingToken: s.LinkingToken}
	if s.Version != nil && kind == kindConnect {
		j.version = *s.Version
	}
	if s.MydexID != nil && kind == kindConnect {
		j.mydexID = *s.MydexID
	}
	to, err := url.Parse(s.ReturnTo)
	switch {
	case s.ConnectionNID == "" || s.ConnectionTokenHash == "" || s.ReturnTo == "":
		return "", bad("connection_nid, connection_token_hash and return_to are required.")
	case s.ConnectionNID != c.sim.nid || subtle.ConstantTimeCompare([]byte(s.ConnectionTokenHash), []byte(c.sim.hash)) != 1:
		return "", bad("The connection does not exist, or its token is another.")
	case err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http":
		return "", bad("return_to is not an absolute URL.")
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
		base = c.base()
	}
	token := c.sim.journeys.add(j, c.now)
	if kind == kindIdentify {
		return base + "/identify/" + c.sim.nid + "/" + token, nil
	}
	return base + "/ftc/begin/" + c.sim.nid + "/" + token + "/" + strconv.Itoa(j.version), nil
}

// qr is an image that stands for the link. It is a valid PNG, but no scanner
// reads it: it shows the bits of the link's hash.
func qr(link string) string {
	const modules, scale = 16, 4
	sum := sha256.Sum256([]byte(link))
	picture := image.NewPaletted(image.Rect(0, 0, modules*scale, modules*scale), color.Palette{color.White, color.Black})
	for y := range modules * scale {
		for x := range modules * scale {
			bit := y/scale*modules + x/scale
			picture.SetColorIndex(x, y, sum[bit/8]>>(bit%8)&1)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		panic("mydex: the image cannot be encoded: " + err.Error())
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}
