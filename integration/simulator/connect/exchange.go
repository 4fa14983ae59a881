// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// serveExchange answers POST /v1/connect/tokens: one-time token and client
// secret in, access token out.
func (c *call) serveExchange() {
	if !c.allow(http.MethodPost) {
		return
	}
	fields, refused := c.fields()
	if refused != nil {
		c.refuse(refused)
		return
	}
	token := fields[c.names.Token]
	c.sim.store.countCall(token)
	app, refused := c.application(fields)
	if refused == nil && token == "" {
		refused = &refusal{http.StatusBadRequest, "token_missing", c.names.Token + " is missing"}
	}
	if refused != nil {
		c.refuse(refused)
		return
	}
	userCode := fields[c.names.Account]
	if a, ok := c.sim.accounts.find(userCode); ok {
		userCode = a.UserCode
	}
	n, refused := c.sim.store.redeem(token, app.ClientID, userCode, c.settings, c.now)
	if refused != nil {
		c.refuse(refused)
		return
	}
	c.count(func(counts *Counts) {
		counts.Redeemed++
		c.record.ClientID, c.record.UserCode = n.clientID, n.userCode
	})
	c.answerExchange(n)
}

// serveRecovery answers POST /v1/connect/publictokens: the person's ID and the
// client secret in, the present public token out.
func (c *call) serveRecovery() {
	if !c.allow(http.MethodPost) {
		return
	}
	fields, refused := c.fields()
	var app Application
	if refused == nil {
		app, refused = c.application(fields)
	}
	if refused != nil {
		c.refuse(refused)
		return
	}
	account, _ := c.sim.accounts.find(fields[c.names.Account])
	n, ok := c.sim.store.find(app.ClientID, account.UserCode)
	if !ok {
		c.fail(http.StatusNotFound, "account_unknown", "the account is not connected to this application")
		return
	}
	c.count(func(*Counts) { c.record.ClientID, c.record.UserCode = n.clientID, n.userCode })
	c.json(http.StatusOK, map[string]string{c.names.Public: n.public})
}

// application is the one that the call authenticates as.
func (c *call) application(fields map[string]string) (Application, *refusal) {
	app, ok := c.sim.applications.authenticate(fields[c.names.Client], fields[c.names.Secret])
	if !ok {
		c.count(func(n *Counts) { n.WrongSecrets++ })
		return Application{}, &refusal{c.settings.ClientRefusal, "client_rejected", "the client ID or the client secret is wrong"}
	}
	return app, nil
}

// maxBody is the longest body that is read.
const maxBody = 64 << 10

// fields reads the body, an object of JSON or a form. What is in the query does
// not count. Numbers are taken as they are spelt; other values that are no text
// are refused.
func (c *call) fields() (map[string]string, *refusal) {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	if err != nil {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "body_too_large", "the body is too long"}
	}
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return jsonFields(b)
	case err == nil && kind == "application/x-www-form-urlencoded":
		return formFields(string(b))
	}
	return nil, &refusal{http.StatusUnsupportedMediaType, "media_type_unknown", "the body is neither JSON nor a form"}
}

var errBody = &refusal{http.StatusBadRequest, "body_invalid", "the body is no flat object, or no form without repetitions"}

func jsonFields(b []byte) (map[string]string, *refusal) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil || d.More() {
		return nil, errBody
	}
	fields := make(map[string]string, len(object))
	for name, value := range object {
		switch v := value.(type) {
		case string:
			fields[name] = v
		case json.Number:
			fields[name] = v.String()
		case nil: // as if it were absent
		default:
			return nil, errBody
		}
	}
	return fields, nil
}

func formFields(text string) (map[string]string, *refusal) {
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, errBody
	}
	fields := make(map[string]string, len(form))
	for name, values := range form {
		if len(values) > 1 {
			return nil, errBody
		}
		fields[name] = values[0]
	}
	return fields, nil
}
