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
	seconds, _ := strconv.Atoi(v.r.URL.Query().Get("wait"))
	if seconds > 0 {
		if !v.provider.waitLimiter.Acquire(v.owner) {
			seconds = 0
		} else {
			defer v.provider.waitLimiter.Release(v.owner)
		}
	}
	cookie := v.readCookie()
	status, err := v.awaitStatus(cookie, time.Now().Add(min(time.Duration(max(seconds, 0))*time.Second, maxStatusWait)))
	v.saveCookie(cookie)
	if err != nil {
		return err
	}
	return writeJSON(v.w, http.StatusOK, map[string]string{"status": string(status)})
}

// awaitStatus returns the person's status once it is not pending, at the latest
// at the deadline.
func (v *connectRequest) awaitStatus(cookie *consent.Cookie, deadline time.Time) (delegation.ConsentStatus, error) {
	states := cookie.States(v.owner)
	for {
		var pending []string
		for _, state := range states {
			err := v.completeFlow(cookie, state, nil)
			if errors.Is(err, delegation.ErrPending) {
				pending = append(pending, state)
			} else if err != nil && !endsFlow(err) {
				return "", err
			}
		}
		states = pending
		status, err := v.consents.Status(v.r.Context(), v.owner)
		if err != nil || status != delegation.ConsentPending || time.Until(deadline) < statusPollInterval {
			return status, err
		}
		select {
		case <-v.r.Context().Done():
			return "", v.r.Context().Err()
		case <-time.After(statusPollInterval):
		}
	}
}
