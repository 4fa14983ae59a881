// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkAllAliases refuses a session that is revoked by any of its names. They are
// looked up once for each list: the session keeps them.
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

// namespace is what tells the users of this session from others of the same
// name: the realm or issuer, or the address that is asked.
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
