// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxListedNames is how many members of an answer are listed.
const maxListedNames = 40

// Explain implements [Explainer].
func (e *Endpoint) Explain(ctx context.Context, credential Credential) []CredentialFinding {
	path := e.Subject
	if path == "" {
		path = "sub"
	}
	res, err := e.call(ctx, credential)
	return explainResponse("session_endpoint", res, err, func() error {
		_, err := e.interpret(res, credential)
		return err
	}, path)
}

// Explain implements [Explainer].
func (i *Introspection) Explain(ctx context.Context, credential Credential) []CredentialFinding {
	res, err := i.call(ctx, credential)
	return explainResponse("introspect", res, err, func() error {
		_, err := i.interpret(res, credential)
		return err
	}, "")
}

// explainResponse returns the findings about a server's answer: of its content only names
// and types. failed is the error of the call. interpret returns why the answer is no
// session. subject is the path of the user if the operator can choose it, otherwise empty.
func explainResponse(setting string, res *response, failed error, interpret func() error, subject string) []CredentialFinding {
	if failed != nil {
		return []CredentialFinding{{Name: setting, Detail: delegation.Explain(failed)}}
	}
	all := []CredentialFinding{{Name: setting, Detail: res.String(), OK: true}}
	d, err := decodeClaims(res.body)
	if err == nil {
		all = append(all, CredentialFinding{Name: "answer", Detail: cmp.Or(describeObject(d, true), "an object without anything in it"), OK: true})
	}
	f := CredentialFinding{Name: "judgement", OK: true, Detail: "somebody is signed in"}
	if err := interpret(); err != nil {
		f.OK, f.Detail = false, delegation.Explain(err)
		if subject != "" {
			f.Detail += missingHeaderHint(res.status)
		}
		if others := subjectCandidates(d, subject); subject != "" && len(others) > 0 {
			f.Detail += "; the answer could name the user as " + strings.Join(others, ", ") + ": `subject` with the one that never changes"
		}
	}
	return append(all, f)
}

// missingHeaderHint names the header that an app may miss which answers with the status: apps
// check Host and X-Forwarded-Proto before they look at a session.
func missingHeaderHint(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden:
		return "; if it is signed in with a browser, the app may not know the host that it is asked for: `header_up Host` with that of its pages"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return "; if the app leads to https, where it believes to be asked without: `header_up X-Forwarded-Proto https`"
	default:
		return ""
	}
}

// describeObject lists the names in an object with the types of their values; if deep,
// also those of the objects in it.
func describeObject(d claims, deep bool) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if len(all) == maxListedNames {
			all = append(all, fmt.Sprintf("and %d more", len(d)-maxListedNames))
			break
		}
		text := delegation.Printable(name, 64) + " (" + jsonType(d[name]) + ")"
		if inner, ok := d[name].(map[string]any); ok && deep && len(inner) > 0 {
			text = delegation.Printable(name, 64) + " {" + describeObject(inner, false) + "}"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// jsonType returns the type of a decoded value; of a bool the value.
func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "list"
	default:
		return "object"
	}
}

// subjectCandidates returns the claims that could name a user, but for one.
func subjectCandidates(d claims, but string) (all []string) {
	for _, path := range subjectClaims {
		if _, err := d.subject(path); err == nil && path != but {
			all = append(all, path)
		}
	}
	return all
}
