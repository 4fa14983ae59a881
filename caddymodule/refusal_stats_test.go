// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func observedStats() (*refusalStats, *observer.ObservedLogs) {
	core, logs := observer.New(zap.WarnLevel)
	return newRefusalStats(zap.New(core)), logs
}

func (s *refusalStats) refuse(code delegation.Code, subject string) {
	s.recordRefused(delegation.Refuse(code, errors.New("the cause")), s.personDigest(delegation.Person{Realm: "default", Subject: subject}), zap.Skip())
}

// TestO11_TwentyPeople protects operators from a service that looks well while
// it refuses everybody: one warning, when twenty different people were refused
// with one code and nobody was let in meanwhile; whatever else they are refused
// with, and not again until somebody was let in.
func TestO11_TwentyPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, logs := observedStats()
		s.recordAdmission()
		for i := range everybodyThreshold - 1 {
			for range 3 { // one person's is one
				s.refuse(delegation.ParticipantUnknown, fmt.Sprint("planted-", i))
				s.refuse(delegation.RouteDenied, "planted-0")
			}
		}
		if logs.Len() != 0 {
			t.Fatalf("%v of nineteen", logs.All())
		}
		s.refuse(delegation.ParticipantUnknown, "planted-19")
		s.refuse(delegation.ParticipantUnknown, "planted-20")
		if logs.Len() != 1 {
			t.Fatalf("%d warnings", logs.Len())
		}
		fields := logs.All()[0].ContextMap()
		if fields["code"] != "participant_unknown" || fields["people"] != int64(everybodyThreshold) || fields["cause"] != "the cause" || fields["mend"] != mends[delegation.ParticipantUnknown] {
			t.Errorf("%v", fields)
		}
		if all := s.status().EverybodyRefused; all != delegation.ParticipantUnknown {
			t.Errorf("the status says %q", all)
		}
		s.recordAdmission()
		if all := s.status().EverybodyRefused; all != "" {
			t.Errorf("the status says %q", all)
		}
		again := func() {
			for i := range everybodyThreshold {
				s.refuse(delegation.ConsentRequired, fmt.Sprint("planted-", i))
			}
		}
		again()
		if logs.Len() != 1 {
			t.Error("two warnings within ten minutes")
		}
		s.recordAdmission()
		time.Sleep(minWarnInterval)
		again()
		if logs.Len() != 2 {
			t.Error("no warning of what has begun again")
		}
	})
}

// TestO11_NobodyYet protects whoever sets it up with a test user or two: where
// nobody was let in yet, and all is refused with one code, requests do.
func TestO11_NobodyYet(t *testing.T) {
	s, logs := observedStats()
	for i := range everybodyThreshold {
		if logs.Len() != 0 {
			t.Fatal("too early")
		}
		s.refuse(delegation.CredentialsRejected, fmt.Sprint("planted-", i%2))
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings", logs.Len())
	}
	// Somebody who is not signed in, and has not tried to be, is no sign of anything.
	s, logs = observedStats()
	for range 2 * everybodyThreshold {
		s.recordRefused(delegation.Refuse(delegation.SessionRequired, nil), s.requestDigest(http.Header{"User-Agent": {"x"}}), zap.Skip())
	}
	if codes := s.status().Refused; logs.Len() != 0 || codes[delegation.SessionRequired] != 2*everybodyThreshold {
		t.Errorf("%d warnings, %v", logs.Len(), codes)
	}
	// Sessions are told apart by what was sent.
	for i := range everybodyThreshold {
		s.recordRefused(delegation.Refuse(delegation.SessionRequired, nil), s.requestDigest(http.Header{"Cookie": {fmt.Sprint("session=", i)}}), zap.Skip())
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings", logs.Len())
	}
}

// TestO11_LastMinutes protects operators from old news, and the process from
// counts that grow.
func TestO11_LastMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := observedStats()
		for range 3 {
			s.refuse(delegation.RouteDenied, "planted")
			time.Sleep(time.Minute)
		}
		if codes := s.status().Refused; codes[delegation.RouteDenied] != 3 {
			t.Errorf("%v", codes)
		}
		time.Sleep(7 * time.Minute)
		if codes := s.status().Refused; codes[delegation.RouteDenied] != 2 {
			t.Errorf("%v, of which one is older than ten minutes", codes)
		}
		time.Sleep(time.Hour)
		if codes := s.status().Refused; len(codes) != 0 {
			t.Errorf("%v", codes)
		}
		for i := range 10_000 {
			s.refuse(delegation.RouteDenied, fmt.Sprint("planted-", i))
		}
		if n := len(s.codes[delegation.RouteDenied].people); n != everybodyThreshold {
			t.Errorf("%d people are kept", n)
		}
	})
}

// TestO11_EveryCodeHasAMend protects whoever reads the warning.
func TestO11_EveryCodeHasAMend(t *testing.T) {
	for code, mend := range mends {
		if mend == "" || mendOf(code) != mend {
			t.Errorf("%s: %q", code, mend)
		}
	}
	if mendOf("unknown") == "" {
		t.Error("none")
	}
}

// TestMendOfCredentialsRejected protects operators of each platform: the warning
// names the settings that theirs has, and not only another platform's.
func TestMendOfCredentialsRejected(t *testing.T) {
	for kind, settings := range map[string][]string{
		"MyDataHelps":        {"clock", "project", "SHA-256"},
		"Mydex":              {"client_id", "client_secret", "connection_nid", "connection_token"},
		"a Connect platform": {"client_id", "client_secret", "names", "binding"},
	} {
		_, own, ok := strings.Cut(mendOf(delegation.CredentialsRejected), kind+": ")
		own, _, _ = strings.Cut(own, ";")
		for _, setting := range settings {
			if !ok || !strings.Contains(own, setting) {
				t.Errorf("%s: %q does not name %s", kind, own, setting)
			}
		}
	}
}
