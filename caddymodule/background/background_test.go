// SPDX-License-Identifier: Apache-2.0

package background

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestR14_PanicsAreRecovered protects the process, and the log: a panic in any
// goroutine is an error that names where it happened and nothing of its text.
func TestR14_PanicsAreRecovered(t *testing.T) {
	told := make(chan *Panic, 1)
	OnPanic(func(p *Panic) { told <- p })
	t.Cleanup(func() { panicHandler.Store(nil) })
	text := func() { panic("mdh-token-of-alice") }
	var group sync.WaitGroup
	var none map[string]int
	for name, run := range map[string]func(){
		"goroutine": func() { Go("reading", text) },
		"group":     func() { GoIn(&group, "reading", text) },
		"timer":     func() { After(time.Nanosecond, "reading", text) },
		"in place": func() {
			err := Do("reading", func() error { text(); return nil })
			if p, ok := errors.AsType[*Panic](err); !ok || err.Error() != "reading: panic: string" {
				t.Errorf("%v, %v", err, p)
			}
		},
		"runtime": func() { Go("reading", func() { none["x"] = 1 }) },
		"error":   func() { Go("reading", func() { panic(errors.New("alice")) }) },
	} {
		t.Run(name, func(t *testing.T) {
			run()
			p := <-told
			if p.Doing != "reading" || p.Type == "" || !strings.Contains(p.Stack, "TestR14_PanicsAreRecovered") {
				t.Errorf("%+v", p)
			}
			if strings.Contains(p.Error()+p.Stack, "alice") {
				t.Error("the panic's text is told")
			}
		})
	}
	group.Wait()
	if err := Do("nothing", func() error { return nil }); err != nil {
		t.Error(err)
	}
}
