// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

const (
	// callbackTimeout is how long a platform may take to call the callback once
	// somebody's browser is back: it usually has before.
	callbackTimeout = time.Minute

	// callbackWarnAgain is the least time between two warnings.
	callbackWarnAgain = 10 * time.Minute
)

// callbackMonitor notices that a platform does not call: people come back from
// it, and their consent stays pending for good, which looks as if they had not
// given it. Whose it is does not matter, and is not kept.
type callbackMonitor struct {
	logger *zap.Logger

	mu           sync.Mutex
	closed       bool
	lastCallback time.Time   // when the platform has called last
	waitingSince time.Time   // when the first came back for whom it is waited
	timer        *time.Timer // nil: it is waited for nobody
	warned       time.Time
}

// recordCallback notes that the platform has called.
func (s *callbackMonitor) recordCallback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastCallback = time.Now()
}

// recordReturn notes that somebody is back of whom the platform has not told.
func (s *callbackMonitor) recordReturn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.timer != nil {
		return
	}
	s.waitingSince = time.Now()
	s.timer = background.After(callbackTimeout, "waiting for a callback", s.warnIfSilent)
}

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

// close ends the wait: no configuration uses it any more.
func (s *callbackMonitor) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
