// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

const (
	// callbackTimeout is how long a platform may take to call back once a browser
	// has returned: it usually has before.
	callbackTimeout = time.Minute

	// callbackWarnAgain is the least time between two warnings.
	callbackWarnAgain = 10 * time.Minute
)

// callbackMonitor notices that a platform does not call back: people return from
// it, and stay pending for good, which looks as if they had not consented. It keeps
// nothing of whose callback is missing.
type callbackMonitor struct {
	logger *zap.Logger

	mu           sync.Mutex
	closed       bool
	lastCallback time.Time   // when the platform has last called back
	waitingSince time.Time   // when the first browser returned before its callback
	timer        *time.Timer // nil: no callback is waited for
	warned       time.Time
}

// recordCallback notes that the platform has called back.
func (s *callbackMonitor) recordCallback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastCallback = time.Now()
}

// recordReturn notes that a browser has returned before its callback.
func (s *callbackMonitor) recordReturn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.timer != nil {
		return
	}
	s.waitingSince = time.Now()
	s.timer = background.After(callbackTimeout, "waiting for a callback", s.warnIfSilent)
}

// warnIfSilent warns if the platform has not called back at all since a browser
// returned.
func (s *callbackMonitor) warnIfSilent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = nil
	if s.closed || !s.lastCallback.Before(s.waitingSince) || !s.warned.IsZero() && time.Since(s.warned) < callbackWarnAgain {
		return
	}
	s.warned = time.Now()
	s.logger.Warn("somebody is back from the platform, and it has not called the callback for anybody within a minute: they stay pending; "+
		"see with `caddy delegate check` what answers at the callback's address, that an authenticator lets it pass, and that the platform has the address",
		zap.Bool("called_before", !s.lastCallback.IsZero()))
}

// close ends the wait: no configuration uses the monitor any more.
func (s *callbackMonitor) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
