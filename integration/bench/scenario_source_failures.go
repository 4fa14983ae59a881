// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// failingPeople are the people of each vendor that fails. Every other one's token
	// outlives the trouble.
	failingPeople = 100
	// failingRate is how many of their requests come a second.
	failingRate = 20
	// resumed is how long everybody may take to be served again: a vendor is left
	// alone for half a minute.
	resumed = 90 * time.Second
)

// sourceFailures: vendors fail for a long while, each in another way, all at the same
// time, each before a Caddy of its own.
func (b *bench) sourceFailures(ctx context.Context) error {
	modes := []string{"400", "401", "429", "500", "garbage", "slow", "invalid_grant"}
	b.report.staged(fmt.Sprintf("Vendors that fail: %d people each, of whom half have a token that outlives it, %d requests a second, at %d vendors at the same time. A suspended grant is tried again after ten minutes; for that those of `invalid_grant` are made older when the vendor works again.", failingPeople, failingRate, len(modes)))
	stages := make([]*sourceStage, len(modes))
	for i, mode := range modes {
		s, err := b.sourceStage(ctx, sourcePlay{people: failingPeople, sqlite: mode != "invalid_grant"})
		if err != nil {
			return err
		}
		if err := s.connectAll(ctx); err != nil {
			return err
		}
		stages[i] = s
	}
	found := make([]failing, len(modes))
	errs := make([]error, len(modes))
	var all sync.WaitGroup
	for i, s := range stages {
		all.Go(func() { found[i], errs[i] = s.fail(ctx, modes[i], b.outage) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, mode := range modes {
		f := found[i]
		name := fmt.Sprintf("vendor answers `%s` for %s under load", mode, b.outage)
		if mode == "invalid_grant" {
			most := 3 + int(b.outage/(20*time.Second))
			b.report.asked(name, "people suspended, at most as many as paced", fmt.Sprintf("≤ %d", min(most, failingPeople/2)), grouped(f.suspended), f.suspended <= most)
		} else {
			b.report.asked(name, "grants ended", "0", grouped(f.suspended+f.ended), f.suspended+f.ended == 0)
		}
		b.report.asked(name, "requests that failed for tokens that outlive it", "0", fmt.Sprintf("%s of %s", grouped(f.failed), grouped(f.live)), f.failed == 0 && f.live > 0)
		b.report.asked(name, "people not served when it works again", "0", grouped(f.unserved), f.unserved == 0)
		b.report.found(name, "calls of the vendor for tokens", grouped(f.calls))
	}
	return nil
}

// failing is what has happened to the people of a vendor that failed.
type failing struct{ live, failed, suspended, ended, unserved, calls int }

// fail has the vendor fail for a time, and work again.
func (s *sourceStage) fail(ctx context.Context, mode string, lasts time.Duration) (f failing, err error) {
	var odd []string
	for i, account := range s.accounts {
		if i%2 == 1 {
			odd = append(odd, account)
		}
	}
	if err := errors.Join(s.expire(ctx, odd...), s.reset(ctx), s.mode(ctx, mode)); err != nil {
		return f, err
	}
	l := newLoad(s.servers[0].addr, s.users)
	defer l.close()
	samples := l.steady(ctx, failingRate, lasts)
	lives := func(x *sample) bool { return x.user%2 == 0 }
	f.live = count(samples, lives)
	f.failed = count(samples, func(x *sample) bool { return lives(x) && x.failed() })
	for _, user := range s.users {
		connected, err := s.isConnected(ctx, user)
		if err != nil {
			return f, err
		}
		if !connected {
			f.suspended++
		}
	}
	n, err := s.counts(ctx)
	if err != nil {
		return f, err
	}
	f.calls = n.Refreshes
	if f.ended, _, err = s.ended(ctx); err != nil {
		return f, err
	}
	if err := s.mode(ctx, ""); err != nil {
		return f, err
	}
	if err := s.ageSuspended(ctx); err != nil {
		return f, err
	}
	for deadline := time.Now().Add(resumed); ; {
		if f.unserved = count(l.each(ctx), (*sample).failed); f.unserved == 0 || time.Now().After(deadline) {
			return f, ctx.Err()
		}
		if err := wait(ctx, time.Second); err != nil {
			return f, err
		}
	}
}

// ageSuspended has suspended grants be ten minutes older.
func (s *sourceStage) ageSuspended(ctx context.Context) error {
	if s.postgres == "" {
		return nil
	}
	db, err := sql.Open("pgx", s.postgres)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "UPDATE grants SET changed = changed - 600000 WHERE state = 'suspended'")
	return err
}

// isConnected tells whether a person is told to be connected.
func (s *sourceStage) isConnected(ctx context.Context, user string) (bool, error) {
	status, err := s.sourceStatus(ctx, user)
	return status == "connected", err
}

// sourceStatus is what a person is told of the source.
func (s *sourceStage) sourceStatus(ctx context.Context, user string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.servers[0].addr+consentsPath+"/status", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set(sessionHeader, user)
	res, text, err := answerOf(req)
	if err != nil {
		return "", err
	}
	var all struct {
		Sources map[string]struct{ Status string }
	}
	if err := json.Unmarshal(text, &all); err != nil || res.StatusCode != http.StatusOK {
		return "", unexpected("/status", res, text)
	}
	return all.Sources[sourceName].Status, nil
}
