// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// sourcesStatus answers how the person stands with each source, and with all of
// them.
func (v *connectRequest) sourcesStatus() error {
	var states map[string]consent.SourceState
	err := v.untilDeadline(func(deadline time.Time) (err error) {
		states, err = v.sourceStates(deadline)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(v.w, http.StatusOK, map[string]any{"status": consent.Overall(states), "sources": states})
}

// sourceStates returns the states of the selected sources once none of them is
// pending, at the latest at the deadline. It completes the flows that can be.
func (v *connectRequest) sourceStates(deadline time.Time) (map[string]consent.SourceState, error) {
	states := make(map[string]consent.SourceState)
	waiting := make([]*sourceWatch, 0, len(v.sources))
	for _, s := range v.selected() {
		at := v.at(s)
		watch := &sourceWatch{connectRequest: at, cookie: at.readCookie()}
		watch.states = watch.cookie.States(v.owner)
		defer watch.saveCookie(watch.cookie)
		waiting = append(waiting, watch)
	}
	for {
		pending := waiting[:0]
		for _, watch := range waiting {
			state, err := watch.look()
			if err != nil {
				return nil, err
			}
			if states[watch.source.name] = state; state.UnderWay() {
				pending = append(pending, watch)
			}
		}
		if waiting = pending; len(waiting) == 0 || time.Until(deadline) < statusPollInterval {
			return states, nil
		}
		if err := v.pauseStatus(); err != nil {
			return nil, err
		}
	}
}

// sourceWatch is the status of one source, which is looked at until it is not
// pending.
type sourceWatch struct {
	*connectRequest
	cookie *consent.Cookie
	states []string // of the flows that the browser came back from
}

// look completes the flows that can be, and returns the state of the source. An
// account that is somebody else's is told as its code: the other sources have their
// states all the same.
func (w *sourceWatch) look() (state consent.SourceState, err error) {
	var conflict bool
	if w.states, err = w.completeReturned(w.cookie, w.states); isConflict(err) {
		conflict = true
	} else if err != nil {
		return state, err
	}
	status, grant, err := w.source.consents.State(w.r.Context(), w.owner)
	if isConflict(err) {
		conflict, status = true, delegation.ConsentNone
	} else if err != nil {
		return state, err
	}
	facts := consent.SourceFacts{Status: status, Grant: grant, Ended: w.source.hasEnded()}
	if grant != nil {
		facts.Missing = w.source.missingScopes(grant.Scopes)
		if facts.Waiting, err = w.waitingAccount(w.cookie); err != nil {
			return state, err
		}
	}
	state = consent.NewSourceState(facts)
	state.APIBase = w.source.apiBase
	if conflict {
		state.Code = delegation.AccountConflict
	}
	return state, nil
}

// isConflict reports whether an error says that an account is somebody else's.
func isConflict(err error) bool {
	return err != nil && delegation.AsRefusal(err).Code == delegation.AccountConflict
}
