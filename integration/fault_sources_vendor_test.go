// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// outage is how long a vendor fails; SOURCE_OUTAGE=10m has it be as long.
func outage(t testing.TB, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("SOURCE_OUTAGE")
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// participants are people who have connected to the city lab. Every other one's access token
// outlives the vendor's trouble.
type participants struct {
	*sourcesRig
	people []*browser
}

func newParticipants(c *sourcesRig, n int) *participants {
	all := &participants{sourcesRig: c}
	for i := range n {
		b := c.browser("person-" + strconv.Itoa(i))
		c.connects(b, "city_lab", c.city, i)
		all.people = append(all.people, b)
	}
	return all
}

// expire has every other person's access token end, or everybody's.
func (c *participants) expire(all bool) {
	for i := range c.people {
		if all || i%2 == 1 {
			c.city.ExpireAccess(accountID(i))
		}
	}
}

// load has everybody ask for their data again and again, for a time. It returns how
// many answers were data, and how many not, of those whose token lives and of the
// others. Nobody may see another's data.
func (c *participants) load(d time.Duration) (live, failed, others, refused int64) {
	c.t.Helper()
	var counts [4]atomic.Int64
	var all sync.WaitGroup
	for i, b := range c.people {
		all.Go(func() {
			for end := time.Now().Add(d); time.Now().Before(end); {
				a := b.do(http.MethodGet, cityMeasurements+"?limit=1", "")
				at := 2 * (i % 2)
				switch {
				case a.StatusCode != http.StatusOK:
					at++
				case !strings.Contains(a.body, accountID(i)):
					c.t.Errorf("person %d sees %s", i, a.body)
				}
				counts[at].Add(1)
			}
		})
	}
	all.Wait()
	return counts[0].Load(), counts[1].Load(), counts[2].Load(), counts[3].Load()
}

// ended returns how many people are told that they are not connected any longer.
func (c *participants) ended() (n int) {
	c.t.Helper()
	for _, b := range c.people {
		if s := c.states(b, "/status").Sources["city_lab"].Status; s != "connected" {
			n++
		}
	}
	return n
}

// restart has another Caddy go on.
func (c *participants) restart(lines string) {
	c.t.Helper()
	if err := c.Restart(c.caddyfileOf(lines, "")); err != nil {
		c.t.Fatal(err)
	}
}

// recover has everybody see their data again.
func (c *participants) recover() {
	c.t.Helper()
	for i, b := range c.people {
		within(c.t, time.Minute, "data of person "+strconv.Itoa(i), func() bool {
			a := b.do(http.MethodGet, cityMeasurements+"?limit=1", "")
			return a.StatusCode == http.StatusOK && strings.Contains(a.body, accountID(i))
		})
	}
}

// TestSourcesVendorFailsUnderLoad protects everybody's consents from a vendor that fails
// while all of them call it, in whatever way: none ends, who has a token that outlives
// it notices nothing, and the others are served again when it is well.
func TestSourcesVendorFailsUnderLoad(t *testing.T) {
	const lines = "http {\n\t\t\t\ttimeout 1s\n\t\t\t}"
	c := newParticipants(startSources(t, lines, ""), 10)
	for _, mode := range []string{"400", "401", "429", "500", "garbage", "slow", "down"} {
		c.expire(false)
		c.city.Reset()
		c.mode(mode)
		live, failed, others, refused := c.load(outage(t, 300*time.Millisecond))
		n := c.city.Counts()
		t.Logf("%s: %d and %d answers with data, %d without; %d calls for tokens", mode, live, others, refused, n.Refreshes)
		if live == 0 || failed != 0 || others != 0 || refused == 0 {
			t.Errorf("%s: with a live token %d were served and %d not, of the others %d and %d", mode, live, failed, others, refused)
		}
		if got := c.ended(); got != 0 || n.RefreshReused != 0 || countEnded(c.city) != 0 {
			t.Errorf("%s: %d people are not connected any longer; %d spent tokens", mode, got, n.RefreshReused)
		}
		c.mode()
		if mode == "401" || mode == "429" {
			c.restart(lines) // which has forgotten for how long it is to leave the vendor alone
		}
		c.recover()
	}
	if n := countEnded(c.city); n != 0 || c.ended() != 0 {
		t.Errorf("%d consents have ended", n)
	}
}

// The pace at which grants are suspended: so many at once, then one in a while.
const (
	suspendedAtOnce = 3
	suspendedEvery  = 20 * time.Second
)

// TestSourcesInvalidGrantToEverybody protects people from a vendor that refuses all
// refresh tokens for a while: few of them are asked to connect again, no faster than
// paced, and all are served again when it is well, without anybody's doing.
func TestSourcesInvalidGrantToEverybody(t *testing.T) {
	_, lines := postgresGrants(t)
	rig := newSourcesRig(t)
	text := rig.withGrants(rig.caddyfileOf("", ""), lines)
	load(t, rig.Stack, text)
	c := newParticipants(rig, 12)
	c.expire(false)
	c.mode("invalid_grant")
	// An invalid_grant is believed the second time, twenty seconds after the first.
	lasts := outage(t, 33*time.Second)
	live, failed, others, refused := c.load(lasts)
	suspended := c.ended()
	most := suspendedAtOnce + int(lasts/suspendedEvery)
	t.Logf("%s: %d people of %d are to connect again; %d answers with data, %d without; %d refreshes", lasts, suspended, len(c.people)/2, live, refused, c.city.Counts().Refreshes)
	if suspended == 0 || suspended > most || suspended >= len(c.people)/2 && lasts < time.Minute {
		t.Errorf("%d people of %d are to connect again; want %d at most", suspended, len(c.people)/2, most)
	}
	if live == 0 || failed != 0 || others != 0 || refused == 0 {
		t.Errorf("with a live token %d were served and %d not, of the others %d and %d", live, failed, others, refused)
	}
	c.mode()
	// A suspended grant is tried again after ten minutes by the database's clock.
	query(t, "UPDATE grants SET changed = changed - 600000 WHERE state = 'suspended'")
	if err := c.Restart(text); err != nil { // half a minute otherwise
		t.Fatal(err)
	}
	c.recover()
	if n := c.ended(); n != 0 || countEnded(c.city) != 0 || c.city.Counts().RefreshReused != 0 {
		t.Errorf("%d people are not connected any longer", n)
	}
}
