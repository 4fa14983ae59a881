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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// word is what the platform tells. Of the fields only their names and whether
// they may be read are kept: a callback may hold values.
type word struct {
	kind, uid, mydexID, key, connectionID, link string
	reads                                       []string
}

// Told implements [delegation.Connector]. Notifications, and words without a
// key, are taken and change nothing.
func (p *Provider) Told(ctx context.Context, r *http.Request) (delegation.Word, error) {
	// It is the same each time, and nothing else shows who speaks.
	sent := r.Header["Authentication"]
	if len(sent) != 1 || subtle.ConstantTimeCompare([]byte(sent[0]), []byte(p.hash)) != 1 {
		return delegation.WordOther, delegation.ErrForged
	}
	w, err := readWord(r)
	switch {
	case err != nil:
		return delegation.WordOther, err
	case w.kind == "notification":
		return delegation.WordNotification, nil
	case w.kind == "" && w.key == "" && w.mydexID != "":
		return delegation.WordOther, nil // who somebody is
	case w.kind != "":
		return delegation.WordOther, errors.New("the callback is of a type that is not known")
	}
	member := Member{UID: w.uid, ConnectionID: w.connectionID, Key: delegation.NewSecret(w.key)}
	switch {
	case member.Check() != nil:
		return delegation.WordOther, errors.New("uid, connection_id or key of the callback is none")
	case w.connectionID != w.uid+"-"+p.config.NID:
		return delegation.WordOther, errors.New("connection_id of the callback is not that of the member and this connection")
	case w.link == "":
		return delegation.WordOther, errors.New("the callback has no linking_token: nobody can tell whose it is")
	}
	text, err := json.Marshal(secret{Key: w.key, ConnectionID: w.connectionID, MydexID: w.mydexID, Datasets: w.reads})
	if err != nil {
		return delegation.WordOther, err
	}
	store, err := p.opener.Store(ctx)
	if err != nil {
		return delegation.WordOther, refuse(err)
	}
	err = store.Stage(ctx, p.host.Name(), "", w.link, grants.Staged{Account: w.uid, Secret: delegation.NewSecret(string(text))})
	if errors.Is(err, grants.ErrNone) {
		return delegation.WordOther, errors.New("there is no journey of this linking_token, or it is over")
	}
	if err != nil {
		return delegation.WordOther, refuse(err)
	}
	return delegation.WordConsent, nil
}

var errWord = errors.New("the callback is neither a form nor a JSON object, or has a field twice")

var errPacked = errors.New("the callback is packed (Content-Encoding), which is not read")

func readWord(r *http.Request) (*word, error) {
	if len(r.Header["Content-Encoding"]) > 0 {
		return nil, errPacked // as a form it could seem to say nothing, and be taken
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, errors.New("the callback could not be read to its end, or is too large")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return readJSONWord(body)
	case err == nil && kind == "application/x-www-form-urlencoded":
		return readFormWord(string(body))
	default:
		return nil, errWord
	}
}

// field is where a value of a name goes; nil if it is not known.
func (w *word) field(name string) *string {
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
		return &w.link
	default:
		return nil
	}
}

// access is the name of a field that says how a dataset may be read: whether
// (a), and by itself or when the member is asked (s).
var access = regexp.MustCompile(`^fields\[([A-Za-z0-9_]+)\].*\[access\]\[r\]\[([as])\]$`)

const (
	allowed   = "1"
	onRequest = "R" // not what to try a key by: a refusal would say nothing of it
)

func readFormWord(body string) (*word, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, errWord
	}
	w := new(word)
	var asked []string
	for name, values := range form {
		if to := w.field(name); to != nil {
			if len(values) != 1 {
				return nil, errWord
			}
			*to = values[0]
		} else if m := access.FindStringSubmatch(name); m != nil {
			switch {
			case m[2] == "a" && slices.Contains(values, allowed):
				w.reads = append(w.reads, m[1])
			case m[2] == "s" && slices.Contains(values, onRequest):
				asked = append(asked, m[1])
			}
		}
	}
	w.reads = slices.DeleteFunc(w.reads, func(name string) bool { return slices.Contains(asked, name) })
	return w.sorted(), nil
}

func readJSONWord(body []byte) (*word, error) {
	all, err := oauth.Object(body)
	if err != nil {
		return nil, errWord
	}
	w := new(word)
	for name, value := range all {
		if to := w.field(name); to != nil && value != nil {
			if digits(string(value)) {
				*to = string(value) // the platform's types are loose
			} else if json.Unmarshal(value, to) != nil {
				return nil, errWord
			}
		}
	}
	var fields map[string]any
	if json.Unmarshal(all["fields"], &fields) == nil {
		for name, v := range fields {
			if reads(v, "a", allowed) && !reads(v, "s", onRequest) {
				w.reads = append(w.reads, name)
			}
		}
	}
	return w.sorted(), nil
}

// reads tells whether {"access":{"r":{"<name>":"<value>"}}} is anywhere in v.
func reads(v any, name, value string) bool {
	in := func(v any) bool { return reads(v, name, value) }
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, in)
	case map[string]any:
		if access, ok := v["access"].(map[string]any); ok {
			r, _ := access["r"].(map[string]any)
			return r[name] == value || value == allowed && r[name] == 1.
		}
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), in)
	}
	return false
}

func (w *word) sorted() *word {
	slices.Sort(w.reads)
	w.reads = slices.Compact(w.reads)
	return w
}
