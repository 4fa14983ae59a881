// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// A session may be used by several names: each directive may give the realm a
// name of its own, and take another claim for the subject. Whoever revokes it by
// one of them has it end by all, also where it was not used before: which names
// there are is read from the configuration, see routes.go. Where that leaves
// open whose names they are, they count once such a session was used by one.

// names are those by which sessions are used, by who vouches for the sessions.
type names struct {
	once  sync.Once
	mu    sync.Mutex
	ofAll map[string]*aliases
}

// aliases are the names by which the sessions of one namespace are used.
type aliases struct {
	namespace string
	list      atomic.Pointer[[]session.Alias]
}

// learned are names that were learnt from use. They outlive configurations, as
// revocations do.
var learned = struct {
	mu  sync.Mutex
	all map[string][]session.Alias
}{all: make(map[string][]session.Alias)}

// of are the names of a namespace.
func (n *names) of(namespace string) *aliases {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.ofAll[namespace]
	if a == nil {
		a = &aliases{namespace: namespace}
		n.ofAll[namespace] = a
	}
	return a
}

// recall adds a name if it was learnt that it is theirs.
func (a *aliases) recall(alias session.Alias) {
	learned.mu.Lock()
	defer learned.mu.Unlock()
	if slices.Contains(learned.all[a.namespace], alias) {
		a.add(alias)
	}
}

// add is a copy each time: a session notes by which list it was checked.
func (a *aliases) add(alias session.Alias) {
	var list []session.Alias
	if old := a.list.Load(); old != nil {
		list = *old
	}
	if !slices.Contains(list, alias) {
		list = append(slices.Clone(list), alias)
		a.list.Store(&list)
	}
}

// learn notes that such a session is used by a name.
func (a *aliases) learn(alias session.Alias) {
	learned.mu.Lock()
	defer learned.mu.Unlock()
	if list := a.list.Load(); list != nil && slices.Contains(*list, alias) {
		return
	}
	if all := learned.all[a.namespace]; len(all) < maxLearnt {
		learned.all[a.namespace] = append(all, alias)
	}
	a.add(alias)
}

// maxLearnt is more than anybody configures.
const maxLearnt = 100

// within notes in which app sessions are used.
func (a *App) within(ctx caddy.Context) {
	for _, m := range ctx.Modules() {
		if http, ok := m.(*caddyhttp.App); ok {
			a.http = http
		}
	}
}

// byAllNames refuses a session that is revoked by any of its names. Those are
// looked up once: from then on the session has them with it.
func (in *signedIn) byAllNames(ctx context.Context) error {
	list := in.aliases.list.Load()
	if list == nil || in.session.CheckedBy(list) {
		return nil
	}
	for _, alias := range *list {
		who := delegation.Person{Realm: alias.Realm, Subject: in.claim(alias.Claim)}
		if who.Realm == "" {
			who.Realm = in.realm
		}
		if who.Subject == "" {
			continue
		}
		if err := in.good(ctx, who); err != nil {
			return err
		}
	}
	in.session.Checked(list)
	return nil
}

// alias is the name that a directive gives to sessions' users; ok tells whether
// it takes them from a session, and it is not the session's own name.
func (g *Gate) alias() (alias session.Alias, ok bool) {
	claim, ok := strings.CutPrefix(g.Subject, "{"+userPrefix)
	alias = session.Alias{Realm: g.Realm, Claim: strings.TrimSuffix(claim, "}")}
	return alias, ok && alias != session.Alias{Claim: "id"}
}

// usedBy notes that a session is used by this directive's name.
func (g *Gate) usedBy(in *signedIn) {
	if g.learnt.Load() == in.aliases {
		return
	}
	if alias, ok := g.alias(); ok && in.aliases != nil {
		in.aliases.learn(alias)
	}
	g.learnt.Store(in.aliases)
}

// namespace is what tells the users of this session from others of the same
// name: who vouches for them.
func (s *AppSession) namespace() string {
	switch {
	case s.JWT != nil && s.JWT.Issuer == "":
		return "realm " + s.Realm + " by " + s.JWT.names()
	case s.JWT != nil && s.JWT.names() != subjectClaim:
		return "issuer " + s.JWT.Issuer + " by " + s.JWT.names()
	case s.JWT != nil:
		return "issuer " + s.JWT.Issuer
	case s.Introspect != nil && s.Introspect.Issuer != "":
		return "issuer " + s.Introspect.Issuer
	case s.Introspect != nil:
		return "introspect " + s.Introspect.URL
	default:
		return "endpoint " + s.SessionEndpoint.Subject + " " + s.SessionEndpoint.URL
	}
}
