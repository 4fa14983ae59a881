// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// style is how a route of the PDX wants to be told whose data is meant.
type style int

const (
	// styleDataset: uid in the path or query, key in the query.
	styleDataset style = iota
	// styleBlock: uid in the query, key in the header Connection-Token, and a
	// scope for the very route.
	styleBlock
)

// route is one line of the PDX's routing table.
type route struct {
	method  string
	pattern []string // *.json or *.xml stands for a segment that ends so
	style   style
	handle  func(*memberCall) (any, *refusal)
}

func to(method, pattern string, s style, handle func(*memberCall) (any, *refusal)) route {
	return route{method, strings.Split(pattern, "/"), s, handle}
}

// match returns what the wildcard stands for.
func (r *route) match(segments []string) (arg string, ok bool) {
	if len(segments) != len(r.pattern) {
		return "", false
	}
	for i, p := range r.pattern {
		suffix, wild := strings.CutPrefix(p, "*")
		switch {
		case wild:
			if arg, ok = strings.CutSuffix(segments[i], suffix); !ok || arg == "" {
				return "", false
			}
		case p != segments[i]:
			return "", false
		}
	}
	return arg, true
}

// refusal is an error of the API, and what the records say of it.
type refusal struct {
	status  int
	message string
}

func bad(message string) *refusal { return &refusal{http.StatusBadRequest, message} }

// accessDenied are the bodies of 401: that of the platform's overview page and
// that of its API description.
var accessDenied = map[string]string{
	"overview": "Unable to authorize the request. Please make sure you send an OAuth2.0 bearer token or an API key.",
	"spec":     "The token is invalid or expired",
}

func (c *call) refuse(r *refusal) {
	if r.status != http.StatusUnauthorized {
		c.fail(r.status, r.message)
		return
	}
	c.recordReason(r.message)
	var body struct {
		Error struct {
			Message string `json:"message"`
			Reason  string `json:"reason"`
		} `json:"error"`
	}
	body.Error.Message, body.Error.Reason = "Access denied", accessDenied[c.settings.AccessDenied]
	c.json(http.StatusUnauthorized, body)
}

// memberCall is a call that was let in to one member's data.
type memberCall struct {
	*call
	arg   string // what the wildcard of the route stands for
	query phpArray
	body  any // decoded JSON, numbers as [json.Number]; nil if there is none
	uid   string
	conID string
	data  *memberData
	store *store
}

func (c *call) servePDX() {
	if status := c.settings.EchoAddress; status != 0 {
		c.echoAddress(status)
		return
	}
	if c.serveOldForm() {
		return
	}
	r, arg := c.pick()
	if r == nil {
		return
	}
	v := &memberCall{call: c, arg: arg, query: readQuery(c.URL.RawQuery), store: &c.sim.data}
	refusal := c.checkBearer(r.scopes(c)...)
	if refusal == nil {
		refusal = v.identify(r.style)
	}
	if refusal == nil {
		refusal = v.read()
	}
	if refusal != nil {
		c.refuse(refusal)
		return
	}
	c.count(func(*Counts) { c.record.UID = v.uid })
	answer, refusal := v.serve(r.handle)
	if refusal != nil {
		c.refuse(refusal)
		return
	}
	if strings.HasSuffix(c.path(), ".xml") {
		c.send(http.StatusOK, "application/xml", asXML(answer))
		return
	}
	c.send(http.StatusOK, "application/json", answer)
}

// pick returns the route of the call, or answers 404 or 405.
func (c *call) pick() (*route, string) {
	var allow []string
	for i := range routes {
		if arg, ok := routes[i].match(c.segments); ok {
			if routes[i].method == c.Method {
				return &routes[i], arg
			}
			allow = append(allow, routes[i].method)
		}
	}
	if allow == nil {
		c.fail(http.StatusNotFound, "no such resource")
	} else {
		c.notAllowed(allow...)
	}
	return nil, ""
}

// scope is a route's own: its method in lower case and its path.
func (r *route) scope() string {
	return strings.ToLower(r.method) + ":/" + strings.Join(r.pattern, "/")
}

// AllScopes returns [ScopePDX], those of the identity service, and the scope of
// every feature block.
func AllScopes() []string {
	scopes := []string{ScopePDX, ScopeIdentifiers, ScopeMyAccount, ScopeScotAccount}
	for i := range blockRoutes {
		scopes = append(scopes, blockRoutes[i].scope())
	}
	return scopes
}

// scopes are those that the token must have, all of them.
func (r *route) scopes(c *call) []string {
	if r.style == styleDataset {
		return []string{ScopePDX}
	}
	return []string{ScopePDX, strings.ToLower(c.Method) + ":" + c.path()}
}

// checkBearer looks at the bearer token alone.
func (c *call) checkBearer(scopes ...string) *refusal {
	token := ""
	if values := c.Header.Values("Authorization"); len(values) == 1 {
		if scheme, rest, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			token = rest
		}
	}
	if reason := c.sim.tokens.judge(token, c.now, scopes...); reason != "" {
		return &refusal{http.StatusUnauthorized, reason}
	}
	return nil
}

// identify lets the call in to the member that it names, if the key is theirs.
func (v *memberCall) identify(s style) (refused *refusal) {
	text := func(name string) (value string) {
		if refused == nil {
			value, refused = v.query.text(name)
		}
		return value
	}
	var key string
	if s == styleDataset {
		if t := text("source_type"); refused == nil && t != "connection" {
			return bad("Invalid parameter: source_type")
		}
		if v.uid = v.arg; v.uid == "" {
			v.uid = text("uid")
		}
		key = text("key")
	} else {
		v.uid = text("uid")
		if key = v.connectionToken(); refused == nil && key == "" {
			return bad("Missing header: Connection-Token")
		}
	}
	v.conID = text("con_id")
	if refused != nil {
		return refused
	}
	reason := v.sim.people.credentialProblem(v.uid, v.conID, key)
	if uid, ok := v.query["uid"]; ok && uid != v.uid {
		reason = "the query names another uid than the path"
	}
	if reason != "" {
		return &refusal{v.settings.MemberRefusal, reason}
	}
	return nil
}

// connectionToken reads the header as PHP does, which joins several with commas.
func (v *memberCall) connectionToken() string {
	if !v.settings.UnderscoreHeaders {
		return strings.Join(v.Header.Values("Connection-Token"), ", ")
	}
	var names, values []string
	for name := range v.Header {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "Connection-Token") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		values = append(values, v.Header[name]...)
	}
	return strings.Join(values, ", ")
}

// read decodes the body, whatever it is declared as: some of the platform's
// own examples declare none. A body on DELETE counts like any other.
func (v *memberCall) read() *refusal {
	if v.Method == http.MethodGet {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(v.Body, maxBody+1))
	if err != nil || len(b) > maxBody {
		return bad("The request body cannot be read")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	if v.body, err = decodeJSON(b); err != nil {
		if v.body = v.form(b); v.body == nil {
			return bad("The request body is not valid JSON")
		}
	}
	return nil
}

// form is the body of an update that is a form, whatever it is declared as: so
// some of the platform's own examples send it. It is nil if the body is none.
func (v *memberCall) form(b []byte) any {
	dataset := strings.HasPrefix(v.path(), "/api/pds/pds/") || strings.HasPrefix(v.path(), "/api/pds/transaction/")
	if v.Method != http.MethodPut || !dataset || !bytes.ContainsRune(b, '=') || bytes.ContainsAny(b, "{}[]\"") {
		return nil
	}
	return map[string]any(readQuery(string(b)))
}

// decodeJSON leaves numbers as they were written.
func decodeJSON(b []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&value); err == nil && d.More() {
		err = errors.New("something follows the JSON value")
	}
	return value, err
}
