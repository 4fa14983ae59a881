// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// killedPeople is for how many people tokens are refreshed when a Caddy is killed.
const killedPeople = 3

// kills is what has happened to the people of all rounds.
type kills struct {
	told, cut, lost, silent, again int

	within time.Duration // of the vendor's answer a Caddy is killed
}

// sourceKilled: a Caddy is killed again and again between the vendor's answer to a
// refresh token and the commit.
func (b *bench) sourceKilled(ctx context.Context) error {
	b.report.staged(fmt.Sprintf("Killed: the vendor has spent the refresh tokens of %d people and holds its answers back; they are let go, and the Caddy is killed (-9) at any moment of the time in which half of them are written. Another one goes on with its PostgreSQL, whose leases are ended for that: fifteen seconds each otherwise.", killedPeople))
	for _, grace := range []bool{true, false} {
		n, err := b.killedRounds(ctx, grace)
		if err != nil {
			return err
		}
		if grace {
			name := fmt.Sprintf("Caddy killed between answer and commit, %s, vendor with a grace", counted(b.rounds, "round"))
			b.report.asked(name, "consents lost", "0", grouped(n.lost), n.lost == 0)
			b.report.found(name, "people, and how many of them were cut off", fmt.Sprintf("%s, %s", grouped(b.rounds*killedPeople), grouped(n.cut)))
			continue
		}
		name := fmt.Sprintf("Caddy killed between answer and commit, %s, vendor without a grace", counted(b.rounds, "round"))
		b.report.asked(name, "spent refresh tokens that were sent again, for each who was cut off", "1", fmt.Sprintf("%s for %s", grouped(n.again), grouped(n.cut)), n.again == n.cut)
		b.report.asked(name, "cut off, and not told `update_required`", "0", grouped(n.silent), n.silent == 0)
		b.report.asked(name, "told of their data, and lost", "0", grouped(n.told), n.told == 0)
		b.report.found(name, "people, and how many of them were cut off", fmt.Sprintf("%s, %s", grouped(b.rounds*killedPeople), grouped(n.cut)))
	}
	return nil
}

func (b *bench) killedRounds(ctx context.Context, grace bool) (n kills, err error) {
	p := sourcePlay{people: b.rounds * killedPeople}
	if grace {
		p.lines = "grace 8h"
	}
	s, err := b.sourceStage(ctx, p)
	if err != nil {
		return n, err
	}
	if err := s.connectAll(ctx); err != nil {
		return n, err
	}
	if grace {
		if err := s.set(ctx, map[string]any{"grace": 8 * 3600, "graceUntilUsed": true, "reuseEnds": false}); err != nil {
			return n, err
		}
	}
	db, err := sql.Open("pgx", s.postgres)
	if err != nil {
		return n, err
	}
	defer db.Close()
	n.within = 8 * time.Millisecond
	for round := range b.rounds {
		cut := n.cut
		if err := s.killedRound(ctx, b, db, round, &n); err != nil {
			return n, fmt.Errorf("round %d: %w", round, err)
		}
		if 2*(n.cut-cut) > killedPeople {
			n.within = min(n.within*3/2, time.Second)
		} else {
			n.within = max(n.within*2/3, time.Millisecond)
		}
	}
	counts, err := s.counts(ctx)
	n.again = counts.RefreshReused
	b.stopAll()
	return n, err
}

// killedRound has some people's tokens refreshed, kills the Caddy, and looks at what
// the next one does for them.
func (s *sourceStage) killedRound(ctx context.Context, b *bench, db *sql.DB, round int, n *kills) error {
	first := round * killedPeople
	users := s.users[first : first+killedPeople]
	before, err := s.counts(ctx)
	if err != nil {
		return err
	}
	if err := s.expire(ctx, s.accounts[first:first+killedPeople]...); err != nil {
		return err
	}
	if err := s.mode(ctx, "spent_hold"); err != nil {
		return err
	}
	statuses := make([]int, killedPeople)
	var all sync.WaitGroup
	for i, user := range users {
		all.Go(func() {
			c := newClient(s.servers[0].addr, sessionHeader+": ")
			defer c.close()
			statuses[i], _ = c.get(user)
		})
	}
	for {
		now, err := s.counts(ctx)
		if err != nil {
			return err
		}
		if now.Refreshed == before.Refreshed+killedPeople {
			break
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	if err := s.mode(ctx, ""); err != nil {
		return err
	}
	time.Sleep(rand.N(n.within)) // any moment
	s.servers[0].processes[0].kill()
	all.Wait()
	if _, err := db.ExecContext(ctx, "UPDATE grants SET lease_until = 0"); err != nil {
		return err
	}
	if s.servers[0], err = b.caddy(ctx, "source", s.config); err != nil {
		return err
	}
	for i, user := range users {
		if err := s.afterKill(ctx, user, statuses[i] == http.StatusOK, n); err != nil {
			return err
		}
	}
	return nil
}

// afterKill notes what became of a person.
func (s *sourceStage) afterKill(ctx context.Context, user string, told bool, n *kills) error {
	before, err := s.counts(ctx)
	if err != nil {
		return err
	}
	l := newLoad(s.servers[0].addr, []string{user})
	defer l.close()
	served := count(l.each(ctx), (*sample).failed) == 0
	after, err := s.counts(ctx)
	if err != nil {
		return err
	}
	if after.Refreshes > before.Refreshes { // the answer of before had not been written
		n.cut++
	}
	if served {
		return nil
	}
	n.lost++
	if told {
		n.told++
	}
	status, err := s.sourceStatus(ctx, user)
	if err == nil && status != "update_required" {
		n.silent++
	}
	return err
}
