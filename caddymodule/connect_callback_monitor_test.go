// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestO9_SilentCallback protects operators from consents that stay pending for
// good: one warning when somebody has been back for a minute and the platform
// has called for nobody; none where it has, before they came or since.
func TestO9_SilentCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		s := &callbackMonitor{logger: zap.New(core)}
		defer s.close()
		for range 20 {
			s.recordReturn()
			time.Sleep(time.Second)
		}
		if logs.Len() != 0 {
			t.Error("too early")
		}
		time.Sleep(callbackTimeout)
		if logs.Len() != 1 {
			t.Fatalf("%d warnings", logs.Len())
		}
		s.recordReturn()
		time.Sleep(2 * callbackTimeout)
		if logs.Len() != 1 {
			t.Error("warned again within ten minutes")
		}
		time.Sleep(callbackWarnAgain)
		s.recordReturn()
		time.Sleep(callbackTimeout / 2)
		s.recordCallback()
		time.Sleep(callbackTimeout)
		if logs.Len() != 1 {
			t.Error("it has called")
		}
		s.recordReturn()
		time.Sleep(2 * callbackTimeout)
		if logs.Len() != 2 || logs.All()[1].ContextMap()["called_before"] != true {
			t.Errorf("%v", logs.All())
		}
		s.recordReturn()
		s.close()
		time.Sleep(callbackWarnAgain + callbackTimeout)
		if logs.Len() != 2 {
			t.Error("a configuration that has ended warns")
		}
	})
}
