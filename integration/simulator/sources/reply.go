// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// tokenError is a refusal of the token endpoint (RFC 6749 section 5.2).
type tokenError struct {
	status       int
	code, reason string
}

// refuse answers with an error in the vendor's form.
func (c *call) refuse(e *tokenError) {
	c.because(e.code + ": " + e.reason)
	if e.code == "invalid_client" {
		c.count(func(n *Counts) { n.WrongSecrets++ })
	}
	c.w.Header().Set("Cache-Control", "no-store")
	switch c.settings.Envelope {
	case "withings":
		c.json(http.StatusOK, withingsError(e, c.form.Get("grant_type")))
	case "fitbit":
		c.json(e.status, map[string]any{"success": false, "errors": []map[string]string{{"errorType": e.code, "message": e.reason}}})
	default:
		if e.status == http.StatusUnauthorized && c.Header.Get("Authorization") != "" {
			c.w.Header().Set("WWW-Authenticate", `Basic realm="simulator"`)
		}
		c.json(e.status, map[string]string{"error": e.code, "error_description": e.reason})
	}
}

// withingsError is an error in Withings' words, of which only some are public.
func withingsError(e *tokenError, grantType string) any {
	status, text := 2554, "Wrong action or wrong webservice"
	switch {
	case e.code == "invalid_client":
		status, text = 401, "invalid client"
	case e.code == "invalid_grant" && grantType == "refresh_token":
		status, text = 503, "Invalid Params: invalid refresh_token"
	case e.code == "invalid_grant":
		status, text = 503, "Invalid Params: invalid code"
	}
	return map[string]any{"status": status, "error": text, "body": map[string]any{}}
}

// answerTokens answers with tokens; first tells that a code was redeemed.
func (c *call) answerTokens(i issued, first bool) {
	s := c.settings
	body := map[string]any{"access_token": i.access, "token_type": "Bearer"}
	if i.refresh != "" {
		body["refresh_token"] = i.refresh
	}
	if slices.Contains(s.Granted, "reply") {
		body["scope"] = strings.Join(i.grant.scopes, s.separator())
	}
	life := int(i.expires.Sub(c.now) / time.Second)
	switch s.Expires {
	case "", "in":
		body["expires_in"] = life
	case "string":
		body["expires_in"] = strconv.Itoa(life)
	case "ms":
		body["expires_in"] = 1000 * life
	case "at":
		body["expires_in"], body["expires_at"] = life, i.expires.Unix()
	}
	if s.AccountIn != "" && first {
		account := i.grant.account
		if s.Protocol == SMART {
			account = i.grant.patient
			body["need_patient_banner"] = true
		}
		put(body, s.AccountIn, idValue(account, s.AccountNumber))
		if object, _, below := strings.Cut(s.AccountIn, "."); below {
			a, _ := c.sim.account(i.grant.account)
			put(body, object+".firstname", a.Name)
		}
	}
	if slices.Contains(i.grant.scopes, "openid") && first {
		body["id_token"] = c.idToken(&i.grant, i.nonce)
	}
	c.w.Header().Set("Cache-Control", "no-store")
	var answer any = body
	if s.Envelope == "withings" {
		answer = map[string]any{"status": 0, "body": body}
	}
	text := control.Marshal(answer)
	switch {
	case first:
	case s.Answer == "truncated":
		text = text[:len(text)-10]
	case s.Answer == "html":
		c.send(http.StatusOK, "text/html; charset=utf-8", []byte("<!DOCTYPE html><title>Maintenance</title><p>We will be back soon."))
		return
	case s.Answer == "huge": // valid, what matters at its end
		text = fmt.Appendf(nil, `{"padding":"%s",%s`, strings.Repeat("a", 2<<20), text[1:])
	}
	c.send(http.StatusOK, "application/json", text)
}

// idValue is an ID as a text or, if it has digits only, as a number.
func idValue(id string, number bool) any {
	if _, err := strconv.ParseUint(id, 10, 64); number && err == nil {
		return json.Number(id)
	}
	return id
}

// put sets a member by its path.
func put(object map[string]any, path string, value any) {
	name, rest, below := strings.Cut(path, ".")
	if !below {
		object[name] = value
		return
	}
	inner, ok := object[name].(map[string]any)
	if !ok {
		inner = make(map[string]any)
		object[name] = inner
	}
	put(inner, rest, value)
}
