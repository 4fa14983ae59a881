// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pendingCallback is a callback that is ready to be sent.
type pendingCallback struct {
	kind   string
	uid    string
	method string
	header http.Header
	body   string
	copies int
}

// field is one of a callback. A form keeps their order.
type field struct{ name, value string }

// callback reports what came of a consent flow. The settings of now count, even if
// it is sent later.
func (c *call) callback(j consentFlow, to Connection) pendingCallback {
	p := pendingCallback{kind: j.kind, uid: to.UID, method: http.MethodPost, copies: c.settings.CallbackCopies}
	if j.version > 1 {
		p.kind, p.method = kindUpdate, http.MethodPut
	}
	var list []field
	if j.kind == kindIdentify {
		list = append(list, field{"mydexid", to.MydexID})
	} else {
		list = append(list, field{"uid", to.UID}, field{"mydexid", to.MydexID}, field{"key", to.Key})
		if id, ok := c.sim.connectionID(c.settings, to.UID); ok {
			list = append(list, field{"connection_id", id})
		}
	}
	if j.linkingToken != nil {
		list = append(list, field{"linking_token", *j.linkingToken})
	}
	omitted := func(name string) bool { return slices.Contains(c.settings.CallbackOmits, name) }
	list = slices.DeleteFunc(list, func(f field) bool { return omitted(f.name) })
	var datasets []string
	if j.kind == kindConnect && !omitted("fields") {
		datasets = c.sim.datasets
	}
	contentType := "application/x-www-form-urlencoded"
	if c.settings.CallbackEncoding == "json" {
		contentType, p.body = "application/json", callbackJSON(list, datasets)
	} else {
		p.body = callbackForm(list, datasets)
	}
	p.header = c.sim.callbackHeader(c.settings, contentType)
	return p
}

// callbackForm writes brackets percent-encoded, as the platform's example does.
func callbackForm(list []field, datasets []string) string {
	for _, name := range datasets {
		for _, right := range []string{"r", "w"} {
			prefix := "fields[" + name + "][0][][access][" + right + "]"
			list = append(list, field{prefix + "[a]", granted[right]["a"]}, field{prefix + "[s]", granted[right]["s"]})
		}
	}
	pairs := make([]string, 0, len(list))
	for _, f := range list {
		pairs = append(pairs, url.QueryEscape(f.name)+"="+url.QueryEscape(f.value))
	}
	return strings.Join(pairs, "&")
}

func callbackJSON(list []field, datasets []string) string {
	body := map[string]any{}
	for _, f := range list {
		body[f.name] = f.value
	}
	if datasets != nil {
		rights := map[string]any{}
		for _, name := range datasets {
			rights[name] = [][]map[string]access{{{"access": granted}}}
		}
		body["fields"] = rights
	}
	return mustMarshal(body)
}

func mustMarshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("mydex: callback cannot be marshalled: " + err.Error())
	}
	return string(b)
}

// connectionID is {uid}-{nid}, or a wrong one if the settings say so.
func (m *Mydex) connectionID(s *Settings, uid string) (string, bool) {
	switch s.CallbackConnectionID {
	case "nid":
		return uid + "-1" + m.nid, true
	case "uid":
		return "1" + uid + "-" + m.nid, true
	case "absent":
		return "", false
	}
	return uid + "-" + m.nid, true
}

// callbackHeader has the hash of the connection token, the same every time:
// that is all by which the platform shows that it is itself.
func (m *Mydex) callbackHeader(s *Settings, contentType string) http.Header {
	header := http.Header{"Content-Type": {contentType}}
	switch s.CallbackAuthentication {
	case "wrong":
		header.Set("Authentication", Hash("wrong"+m.token))
	case "upper":
		header.Set("Authentication", strings.ToUpper(m.hash))
	case "twice":
		header["Authentication"] = []string{m.hash, m.hash}
	case "absent":
	default:
		header.Set("Authentication", m.hash)
	}
	return header
}

// Notification tells the subscriber that a member's data changed.
type Notification struct {
	Message string `json:"message"`
	Dataset string `json:"dataset"`
	// Action is what happened. Default: create.
	Action    string `json:"action"`
	UpdatedID string `json:"updated_id"`
}

// Notify sends a notification about a member, connected or not. All its
// values are text.
func (m *Mydex) Notify(uid string, n Notification) Delivery {
	settings := &m.settings.Load().Settings
	if n.Action == "" {
		n.Action = "create"
	}
	body := map[string]string{
		"type": "notification", "uid": uid, "message": n.Message, "dataset": n.Dataset, "action": n.Action, "updated_id": n.UpdatedID,
	}
	if id, ok := m.connectionID(settings, uid); ok {
		body["connection_id"] = id
	}
	p := pendingCallback{
		kind: kindNotification, uid: uid, method: http.MethodPost, copies: 1,
		header: m.callbackHeader(settings, "application/json"), body: mustMarshal(body),
	}
	if settings.BareNotifications {
		p.header.Del("Authentication")
	}
	return m.deliver(context.Background(), p)[0]
}
