// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

var now = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

func engine(s tokens.Status) Engine {
	if s.Issuer.State == "" {
		s.Issuer.State = circuit.Closed
	}
	return NewEngine(s)
}

// judged are the parts and steps that a status finds degraded. Each has an action.
func judged(t *testing.T, s Status) []string {
	t.Helper()
	s.Judge(now, func(c delegation.Code) string { return "mend " + string(c) })
	found := []string{}
	for _, d := range s.Degraded {
		found = append(found, d.Part+" "+d.Step)
		if d.Action == "" || d.Cause == "" {
			t.Errorf("%+v", d)
		}
	}
	return found
}

// TestJudge protects the operator who is paged: each thing that is down is found,
// where it is, and nothing else is; and what passes by itself is no alarm.
func TestJudge(t *testing.T) {
	open := circuit.Status{State: circuit.Open, Code: delegation.IssuerUnavailable, Since: now.Add(-time.Minute)}
	for name, c := range map[string]struct {
		status Status
		want   []string
	}{
		"nothing": {Status{}, nil},
		"all well": {Status{
			Providers:    map[string]Provider{"p": {Engine: engine(tokens.Status{Shared: &tokens.SharedStatus{Up: true}})}},
			Grants:       &Grants{Up: true},
			Files:        []File{{Changed: now, Ends: now.Add(minRemaining + time.Hour)}},
			Certificates: []Certificate{{Begins: now.AddDate(0, -2, 0), Ends: now.AddDate(0, 1, 0)}},
		}, nil},
		"an issuer": {Status{Providers: map[string]Provider{"p": {Engine: engine(tokens.Status{Issuer: open})}, "q": {Engine: engine(tokens.Status{})}}}, []string{"p issuer"}},
		"a source": {Status{Providers: map[string]Provider{"p": {
			Engine: engine(tokens.Status{}), Sources: map[string]Engine{"a": engine(tokens.Status{}), "b": engine(tokens.Status{Issuer: open})},
		}}}, []string{"p/b issuer"}},
		"everybody": {Status{Providers: map[string]Provider{"p": {
			Engine: engine(tokens.Status{}), Refusals: Refusals{EverybodyRefused: delegation.ParticipantUnknown, EverybodyRefusedSince: now},
		}}, Sessions: &Refusals{EverybodyRefused: delegation.SessionRequired}}, []string{"p requests", "sessions requests"}},
		"somebody": {Status{Sessions: &Refusals{Refused: map[delegation.Code]int{delegation.SessionRequired: 900}}}, nil},
		"Redis":    {Status{Providers: map[string]Provider{"p": {Engine: engine(tokens.Status{Shared: &tokens.SharedStatus{Cause: "refused"}})}}}, []string{"p redis"}},
		"Redis, that was not tried yet": {Status{Providers: map[string]Provider{"p": {
			Engine: engine(tokens.Status{Shared: &tokens.SharedStatus{}}),
		}}}, nil},
		"purges that wait": {Status{Providers: map[string]Provider{"p": {
			Engine: engine(tokens.Status{Shared: &tokens.SharedStatus{Up: true, PendingLogouts: 1}}),
		}}}, []string{"p redis"}},
		"the database": {Status{Grants: &Grants{Cause: "it cannot be reached", Since: now}}, []string{"grants database"}},
		"files": {Status{Files: []File{
			{Setting: "gone", Cause: "there is no such file any more"},
			{Setting: "old", Changed: now.AddDate(-9, 0, 0)},
			{Setting: "ended", Ends: now.Add(-time.Hour)},
			{Setting: "ends", Ends: now.Add(minRemaining - time.Hour)},
		}}, []string{"files gone", "files ended", "files ends"}},
		"certificates": {Status{Certificates: []Certificate{
			{"ended", now.AddDate(0, -3, 0), now.Add(-time.Hour)},
			{"not renewed", now.AddDate(0, 0, -77), now.AddDate(0, 0, 13)},
			{"to be renewed", now.AddDate(0, 0, -70), now.AddDate(0, 0, 20)},
			{"short", now.Add(-9 * time.Hour), now.Add(3 * time.Hour)},
			{"short, not renewed", now.Add(-11 * time.Hour), now.Add(time.Hour)},
			{"a year", now.AddDate(0, -11, 0), now.AddDate(0, 1, 0)},
		}}, []string{"certificates ended", "certificates not renewed", "certificates short, not renewed"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judged(t, c.status); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestJudgeTellsSince protects the report that an operator writes on Monday: since
// when, and what to do, of what has a code.
func TestJudgeTellsSince(t *testing.T) {
	since := now.Add(-time.Hour)
	s := Status{Providers: map[string]Provider{"p": {Engine: engine(tokens.Status{Issuer: circuit.Status{State: circuit.HalfOpen, Code: delegation.CredentialsRejected, Since: since}})}}}
	s.Judge(now, func(c delegation.Code) string { return "mend " + string(c) })
	want := Degradation{"p", StepIssuer, "credentials_rejected", since, "mend credentials_rejected"}
	if len(s.Degraded) != 1 || s.Degraded[0] != want {
		t.Error(fmt.Sprint(s.Degraded))
	}
}
