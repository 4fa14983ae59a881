// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// cpu is the processor time that a machine has used.
func (m *machine) cpu() time.Duration {
	m.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	// Behind the name, which may hold spaces: fields 14 and 15, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkMachine is what a call costs a whole Caddy in processor time, which the page
// on scale plans with: of somebody whose token is at hand, and of somebody who comes
// for the first time, the token included.
func BenchmarkMachine(b *testing.B) {
	l := newLogin(b)
	for name, people := range map[string]func(n int) int{
		"warm":  func(int) int { return 1 },
		"first": func(n int) int { return n },
	} {
		b.Run(name, func(b *testing.B) {
			participants := simulator.SampleParticipants(people(b.N) + 1)
			s := newStack(b, participants...)
			s.Platform.Set(func(set *simulator.Settings) { set.DelegatedQuota = 1 << 30 })
			m := newMachine(b, s, administered(l.caddyfile("")))
			sessions := make([]string, people(b.N)+1)
			for n := range sessions {
				sessions[n] = l.session(participants[n].Identifier, nil)
			}
			m.want("the one before", sessions[len(sessions)-1], http.StatusOK) // what is made once
			if name == "warm" {
				m.want("the one before", sessions[0], http.StatusOK)
			}
			before := m.cpu()
			b.ResetTimer()
			for n := range b.N {
				m.want(name, sessions[n%people(b.N)], http.StatusOK)
			}
			b.ReportMetric(float64((m.cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}
