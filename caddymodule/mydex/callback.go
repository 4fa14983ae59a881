// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// callback is the body that the platform posts. Of the fields of datasets only
// those are kept that say which may be read: a callback may hold values.
type callback struct {
	kind, uid, mydexID, key, connectionID, linkingToken string
	readable                                            []string // the datasets that the member has opened to be read
}

// ReadCallback implements [delegation.CallbackReader]. Notifications, and callbacks
// without a member key, are taken and change nothing.
func (p *Provider) ReadCallback(_ context.Context, r *http.Request) (*delegation.Callback, error) {
	// The hash is the same each time, and nothing else shows that the platform has
	// sent it.
	sent := r.Header["Authentication"]
	if len(sent) != 1 || subtle.ConstantTimeCompare([]byte(sent[0]), []byte(p.connectionTokenHash)) != 1 {
		return nil, delegation.ErrForged
	}
	w, err := readCallback(r)
	switch {
	case err != nil:
		return nil, err
	case w.kind == "notification":
		return &delegation.Callback{Kind: delegation.CallbackNotification}, nil
	case w.kind == "" && w.key == "" && w.mydexID != "":
		return &delegation.Callback{Kind: delegation.CallbackOther}, nil // it says who a member is
	case w.kind != "":
		return nil, errors.New("the callback is of a type that is not known")
	}
	member := Member{UID: w.uid, ConnectionID: w.connectionID, Key: delegation.NewSecret(w.key)}
	switch {
	case member.Check() != nil:
		return nil, errors.New("uid, connection_id or key of the callback is none")
	case w.connectionID != w.uid+"-"+p.config.ConnectionNID:
		return nil, errors.New("connection_id of the callback is not that of the member and this connection")
	case w.linkingToken == "":
		return nil, errors.New("the callback has no linking_token: nobody can tell whose it is")
	}
	text, err := json.Marshal(storedSecret{Key: w.key, ConnectionID: w.connectionID, MydexID: w.mydexID, Datasets: w.readable})
	if err != nil {
		return nil, err
	}
	return &delegation.Callback{
		Kind: delegation.CallbackConsent, CorrelationID: w.linkingToken,
		Result: delegation.ConsentResult{Account: w.uid, Secret: delegation.NewSecret(string(text))},
	}, nil
}

// The causes of callbacks that are not taken. They name no value.
var errCallbackFormat = errors.New("the callback is neither a form nor a JSON object, or has a field twice")

var errCallbackEncoded = errors.New("the callback is packed (Content-Encoding), which is not read")

// readCallback reads a form or a JSON object.
func readCallback(r *http.Request) (*callback, error) {
	if len(r.Header["Content-Encoding"]) > 0 {
		return nil, errCallbackEncoded // read as a form, it could seem to be about no consent, and be taken
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, errors.New("the callback could not be read to its end, or is too large")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return readJSONCallback(body)
	case err == nil && kind == "application/x-www-form-urlencoded":
		return readFormCallback(string(body))
	default:
		return nil, errCallbackFormat
	}
}

// field returns where a field's value goes; nil for a name that is not known.
func (w *callback) field(name string) *string {
	switch name {
	case "type":
		return &w.kind
	case "uid":
		return &w.uid
	case "mydexid":
		return &w.mydexID
	case "key":
		return &w.key
	case "connection_id":
		return &w.connectionID
	case "linking_token":
		return &w.linkingToken
	default:
		return nil
	}
}

// accessField matches the name of a form's field that says how a dataset may be
// read: whether (a), and by itself or when the member is asked (s).
var accessField = regexp.MustCompile(`^fields\[([A-Za-z0-9_]+)\].*\[access\]\[r\]\[([as])\]$`)

const (
	accessAllowed   = "1"
	accessOnRequest = "R" // not for probing a key: a refusal would say nothing of the key
)

// readFormCallback reads a form. A field of ours that comes twice is an error.
func readFormCallback(body string) (*callback, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, errCallbackFormat
	}
	w := new(callback)
	var asked []string
	for name, values := range form {
		if to := w.field(name); to != nil {
			if len(values) != 1 {
				return nil, errCallbackFormat
			}
			*to = values[0]
		} else if m := accessField.FindStringSubmatch(name); m != nil {
			switch {
			case m[2] == "a" && slices.Contains(values, accessAllowed):
				w.readable = append(w.readable, m[1])
			case m[2] == "s" && slices.Contains(values, accessOnRequest):
				asked = append(asked, m[1])
			}
		}
	}
	w.readable = slices.DeleteFunc(w.readable, func(name string) bool { return slices.Contains(asked, name) })
	return w.normalize(), nil
}

// readJSONCallback reads a JSON object. A name that comes twice is an error.
func readJSONCallback(body []byte) (*callback, error) {
	all, err := strictjson.Members(body)
	if err != nil {
		return nil, errCallbackFormat
	}
	w := new(callback)
	for name, value := range all {
		if to := w.field(name); to != nil && value != nil {
			if digits(string(value)) {
				*to = string(value) // the platform sends numbers as numbers or as strings
			} else if json.Unmarshal(value, to) != nil {
				return nil, errCallbackFormat
			}
		}
	}
	var fields map[string]any
	if json.Unmarshal(all["fields"], &fields) == nil {
		for name, v := range fields {
			if hasReadAccess(v, "a", accessAllowed) && !hasReadAccess(v, "s", accessOnRequest) {
				w.readable = append(w.readable, name)
			}
		}
	}
	return w.normalize(), nil
}

// hasReadAccess tells whether {"access":{"r":{"<name>":"<value>"}}} is anywhere in
// v.
func hasReadAccess(v any, name, value string) bool {
	in := func(v any) bool { return hasReadAccess(v, name, value) }
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, in)
	case map[string]any:
		if access, ok := v["access"].(map[string]any); ok {
			r, _ := access["r"].(map[string]any)
			return r[name] == value || value == accessAllowed && r[name] == 1.
		}
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), in)
	}
	return false
}

// normalize sorts the readable datasets, and drops repeated ones.
func (w *callback) normalize() *callback {
	slices.Sort(w.readable)
	w.readable = slices.Compact(w.readable)
	return w
}
