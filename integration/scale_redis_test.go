// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// redisCommandsPerMint is what the page on scale plans with: commands that Redis takes
// for a token that one machine mints, and a second machine uses.
const redisCommandsPerMint = 12

// TestRedisLoad protects who plans a Redis by the page on scale: a token costs it no
// more commands than that page says.
func TestRedisLoad(t *testing.T) {
	participants := simulator.SampleParticipants(200)
	l, s, redis := newLogin(t), newStack(t, participants...), newRedis(t)
	_, lines := sharingLines(t, s, redis)
	caddyfile := administered(l.caddyfile(lines))
	a, b := newMachine(t, s, caddyfile), newMachine(t, s, caddyfile)
	a.shares()
	b.shares()
	commands := func() (n int) {
		for line := range strings.SplitSeq(redis.do("INFO", "stats"), "\n") {
			_, _ = fmt.Sscanf(line, "total_commands_processed:%d", &n)
		}
		return n
	}
	// What a machine asks by itself, such as for purges, goes on meanwhile.
	start, before := time.Now(), commands()
	eventually(t, "some seconds pass", func() bool { return time.Since(start) > 3*time.Second })
	idle := float64(commands()-before) / time.Since(start).Seconds()

	start, before = time.Now(), commands()
	for _, p := range participants {
		session := l.session(p.Identifier, nil)
		a.want("first", session, http.StatusOK)
		b.want("second", session, http.StatusOK)
	}
	each := (float64(commands()-before) - idle*time.Since(start).Seconds()) / float64(len(participants))
	t.Logf("%.1f commands for a token, %.1f a second without any", each, idle)
	if each > redisCommandsPerMint {
		t.Errorf("%.1f commands for a token, and the page says %d", each, redisCommandsPerMint)
	}
}
