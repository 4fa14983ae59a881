// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// connectFlow is how a member was connected.
type connectFlow struct {
	user     string
	setup    mydex.Record
	callback mydex.Delivery
	back     browserRequest // the browser's return
}

// states are those of the connect flows that a browser comes back from: in the
// address, or in the cookie, where Caddy keeps them until somebody is signed in.
func (s browserRequest) states() []string {
	if state := stateOf(s.uri); state != "" {
		return []string{state}
	}
	c, err := (&http.Request{Header: s.header}).Cookie("delegate_mydex")
	if err != nil {
		return nil
	}
	return strings.Split(c.Value, ".")[1:]
}

// findConnectFlow finds a connect flow by its state, which the setup had, whose linking
// token the callback has.
func findConnectFlow(state string, records []mydex.Record, deliveries []mydex.Delivery) (connectFlow, bool) {
	for _, r := range slices.Backward(records) {
		if r.Area != "setup" {
			continue
		}
		asked := fieldsOf(r.Body)
		if stateOf(asked["return_to"]) != state {
			continue
		}
		for _, d := range slices.Backward(deliveries) {
			if form, err := url.ParseQuery(d.Body); err == nil && form.Get("linking_token") == asked["linking_token"] {
				return connectFlow{setup: r, callback: d}, true
			}
		}
	}
	return connectFlow{}, false
}

func stateOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Query().Get("state")
}

// fieldsOf are those of a JSON object, as text.
func fieldsOf(body string) map[string]string {
	var values map[string]any
	if json.Unmarshal([]byte(body), &values) != nil {
		return nil
	}
	texts := make(map[string]string, len(values))
	for name, v := range values {
		if text, ok := v.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// show tells what Caddy and Mydex said to each other. What the browser knows of
// it is what it came back with.
func (t connectFlow) show() (setup, callback []field) {
	setup = append(setup, t.back.shownField("Authorization", t.setup.Header.Get("Authorization")))
	asked := fieldsOf(t.setup.Body)
	for _, name := range []string{"connection_nid", "connection_token_hash", "return_to", "linking_token"} {
		value := asked[name]
		if name == "return_to" {
			value = strings.Replace(value, stateOf(value), mask(stateOf(value)), 1)
		}
		setup = append(setup, t.back.shownField(name, value))
	}
	callback = append(callback, t.back.shownField("Authentication", t.callback.Header.Get("Authentication")))
	form, _ := url.ParseQuery(t.callback.Body)
	for _, name := range []string{"uid", "mydexid", "connection_id", "key", "linking_token"} {
		callback = append(callback, t.back.shownField(name, form.Get(name)))
	}
	return setup, callback
}
