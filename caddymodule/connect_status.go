// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// maxStatusWait bounds ?wait. Proxies wait longer than that for an answer.
	maxStatusWait = 25 * time.Second
	// statusPollInterval is how often a request with ?wait looks again.
	statusPollInterval = 500 * time.Millisecond
)

// status answers whether the person is connected, and completes the flows whose
// browser came back before the platform's callback.
func (v *connectRequest) status() error {
	var status delegation.ConsentStatus
	err := v.untilDeadline(func(deadline time.Time) (err error) {
		cookie := v.readCookie()
		status, err = v.awaitStatus(cookie, deadline)
		v.saveCookie(cookie)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(v.w, http.StatusOK, map[string]string{"status": string(status)})
}

// untilDeadline calls a function with the time until which the request may wait, by
// its query parameter wait in seconds. Of the requests of one person a few may wait.
func (v *connectRequest) untilDeadline(f func(deadline time.Time) error) error {
	seconds, _ := strconv.Atoi(v.r.URL.Query().Get("wait"))
	if seconds > 0 {
		if !v.provider.waitLimiter.Acquire(v.owner) {
			seconds = 0
		} else {
			defer v.provider.waitLimiter.Release(v.owner)
		}
	}
	return f(time.Now().Add(min(time.Duration(max(seconds, 0))*time.Second, maxStatusWait)))
}

// awaitStatus returns the person's status once it is not pending, at the latest
// at the deadline.
func (v *connectRequest) awaitStatus(cookie *consent.Cookie, deadline time.Time) (delegation.ConsentStatus, error) {
	states := cookie.States(v.owner)
	for {
		var err error
		if states, err = v.completeReturned(cookie, states); err != nil {
			return "", err
		}
		status, err := v.source.consents.Status(v.r.Context(), v.owner)
		if err != nil || status != delegation.ConsentPending || time.Until(deadline) < statusPollInterval {
			return status, err
		}
		if err := v.pauseStatus(); err != nil {
			return "", err
		}
	}
}

// completeReturned completes flows that the browser came back from, and returns the
// states of those that cannot be completed yet. That one has led to nothing is no
// error.
func (v *connectRequest) completeReturned(cookie *consent.Cookie, states []string) (pending []string, err error) {
	for _, state := range states {
		err := v.completeFlow(cookie, state, nil)
		if errors.Is(err, delegation.ErrPending) {
			pending = append(pending, state)
		} else if err != nil && !endsFlow(err) {
			return nil, err
		}
	}
	return pending, nil
}

// pauseStatus waits until it is time to look at a status again. The error is that of
// a client that has left.
func (v *connectRequest) pauseStatus() error {
	select {
	case <-v.r.Context().Done():
		return v.r.Context().Err()
	case <-time.After(statusPollInterval):
		return nil
	}
}
