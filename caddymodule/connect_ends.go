// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// readEnds returns when the person's consents end by themselves; zero without the setting
// `ends`. The error refuses a flow: it is not_delegated if the session does not say,
// because somebody would be connected beyond the end of their study.
func (v *connectRequest) readEnds() (time.Time, error) {
	setting := v.provider.traits.Ends
	if setting == "" {
		return time.Time{}, nil
	}
	ends, err := consent.ParseEnd(placeholderValue(v.repl, v.user, setting))
	if err != nil {
		return time.Time{}, delegation.Refuse(delegation.NotDelegated, fmt.Errorf("ends %s: %w: see that every session says it", setting, err))
	}
	return ends, nil
}

// errParticipationOver refuses a flow whose grant would have ended already.
var errParticipationOver = delegation.Refuse(delegation.RouteDenied, errors.New("the date in `ends` is past: what the user consents to would end at once")).
	WithMessage("Your participation has ended.")

// endsOfFlow is [connectRequest.readEnds] for a flow that begins.
func (v *connectRequest) endsOfFlow() (time.Time, error) {
	ends, err := v.readEnds()
	if err == nil && !ends.IsZero() && !ends.After(time.Now()) {
		err = errParticipationOver
	}
	return ends, err
}

// noteEnds notes when the person's consents end by themselves, as their session says it
// now. Whatever fails, the request goes on: what was noted before stands.
func (v *connectRequest) noteEnds() {
	if v.provider.traits.Ends == "" || v.owner == (delegation.Person{}) || v.r.Method == http.MethodDelete {
		return
	}
	ends, err := v.readEnds()
	if err != nil {
		return // a flow that begins is refused
	}
	all := make([]*grants.Consents, len(v.sources))
	for i, s := range v.sources {
		all[i] = s.consents
	}
	_ = grants.SetEnds(v.r.Context(), all, v.owner, ends)
}
