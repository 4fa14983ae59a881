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

// aliasRegistry are those by which sessions are used, by who vouches for the sessions.
type aliasRegistry struct {
	once        sync.Once
	mu          sync.Mutex
	byNamespace map[string]*aliases
}

// aliases are the names by which the sessions of one namespace are used.
type aliases struct {
	namespace string
	list      atomic.Pointer[[]session.Alias]
}

// learnedAliases are names that were learnt from use. They outlive configurations, as
// revocations do.
var learnedAliases = struct {
	mu  sync.Mutex
	all map[string][]session.Alias
}{all: make(map[string][]session.Alias)}

// aliasesOf are the names of a namespace.
func (n *aliasRegistry) aliasesOf(namespace string) *aliases {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.byNamespace[namespace]
	if a == nil {
		a = &aliases{namespace: namespace}
		n.byNamespace[namespace] = a
	}
	return a
}

// addIfLearned adds a name if it was learnt that it is theirs.
func (a *aliases) addIfLearned(alias session.Alias) {
	learnedAliases.mu.Lock()
	defer learnedAliases.mu.Unlock()
	if slices.Contains(learnedAliases.all[a.namespace], alias) {
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
	learnedAliases.mu.Lock()
	defer learnedAliases.mu.Unlock()
	if list := a.list.Load(); list != nil && slices.Contains(*list, alias) {
		return
	}
	if all := learnedAliases.all[a.namespace]; len(all) < maxLearnedAliases {
		learnedAliases.all[a.namespace] = append(all, alias)
	}
	a.add(alias)
}

// maxLearnedAliases is more than anybody configures.
const maxLearnedAliases = 100

// findHTTPApp notes in which app sessions are used.
func (a *App) findHTTPApp(ctx caddy.Context) {
	for _, m := range ctx.Modules() {
		if http, ok := m.(*caddyhttp.App); ok {
			a.httpApp = http
		}
	}
}

// checkAllAliases refuses a session that is revoked by any of its names. Those are
// looked up once: from then on the session has them with it.
func (in *signedInUser) checkAllAliases(ctx context.Context) error {
	list := in.aliases.list.Load()
	if list == nil || in.session.AliasesChecked(list) {
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
		if err := in.checkNotRevoked(ctx, who); err != nil {
			return err
		}
	}
	in.session.SetAliasesChecked(list)
	return nil
}

// subjectAlias is the name that a directive gives to sessions' users; ok tells whether
// it takes them from a session, and it is not the session's own name.
func (g *Directive) subjectAlias() (alias session.Alias, ok bool) {
	claim, ok := strings.CutPrefix(g.Subject, "{"+userPrefix)
	alias = session.Alias{Realm: g.Realm, Claim: strings.TrimSuffix(claim, "}")}
	return alias, ok && alias != session.Alias{Claim: "id"}
}

// recordAlias notes that a session is used by this directive's name.
func (g *Directive) recordAlias(in *signedInUser) {
	if g.recordedAliases.Load() == in.aliases {
		return
	}
	if alias, ok := g.subjectAlias(); ok && in.aliases != nil {
		in.aliases.learn(alias)
	}
	g.recordedAliases.Store(in.aliases)
}

// namespace is what tells the users of this session from others of the same
// name: who vouches for them.
func (s *AppSession) namespace() string {
	switch {
	case s.JWT != nil && s.JWT.Issuer == "":
		return "realm " + s.Realm + " by " + s.JWT.userClaim()
	case s.JWT != nil && s.JWT.userClaim() != subjectClaim:
		return "issuer " + s.JWT.Issuer + " by " + s.JWT.userClaim()
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
