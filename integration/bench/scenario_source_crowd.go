// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// mostConnecting is how long everybody may take to connect, with PostgreSQL.
const mostConnecting = 2 * time.Minute

// connecting is how many people are under way at once: each is one request, and the
// vendor's and the database's answer to it.
const connecting = 256

// sourceCrowd: everybody connects at once, as after a letter to all.
func (b *bench) sourceCrowd(ctx context.Context) error {
	b.report.staged(fmt.Sprintf("Connecting: everybody begins, agrees on the vendor's page, and comes back, %d at a time; then each reads their data, which has the vendor's account in it. Load, vendor and database share the machine.", connecting))
	for _, sqlite := range []bool{false, true} {
		s, err := b.sourceStage(ctx, sourcePlay{people: b.people, sqlite: sqlite})
		if err != nil {
			return err
		}
		begun := time.Now()
		failed, err := s.everybody(connecting, func(i int) error { return s.connect(ctx, s.servers[0], s.users[i], s.accounts[i]) })
		took := time.Since(begun)
		wrong, e := s.everybody(connecting, func(i int) error { return s.owns(ctx, s.users[i], s.accounts[i]) })
		ended, grants, e2 := s.ended(ctx)
		if err := errors.Join(ctx.Err(), e2); err != nil {
			return err
		}
		if err := errors.Join(err, e); err != nil {
			fmt.Fprintln(b.stdout, "one of the failures:", err)
		}
		database := "PostgreSQL"
		if sqlite {
			database = "SQLite"
		}
		name := fmt.Sprintf("%s people connecting at once, %s", grouped(b.people), database)
		b.report.asked(name, "grants", grouped(b.people), grouped(grants-ended), grants == b.people && ended == 0 && failed == 0)
		b.report.asked(name, "people who do not read their own data", "0", grouped(wrong), wrong == 0)
		if sqlite {
			b.report.found(name, "time in all", seconds(took.Seconds()))
		} else {
			b.report.asked(name, "time in all", "≤ "+seconds(mostConnecting.Seconds()), seconds(took.Seconds()), took <= mostConnecting)
		}
		b.stopAll()
	}
	return nil
}

// owns checks that a person reads the data of an account.
func (s *sourceStage) owns(ctx context.Context, user, account string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.servers[0].addr+prefix+route, nil)
	if err != nil {
		return err
	}
	req.Header.Set(sessionHeader, user)
	res, text, err := answerOf(req)
	if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(text), account)) {
		err = unexpected(route, res, text)
	}
	return err
}
