// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// allow gives the user limited all that is needed but some commands, and
// returns the URL.
func allow(s *server, missing ...string) string {
	rules := []any{"ACL", "SETUSER", "limited", "reset", "on", ">canary-password"}
	for word := range strings.FieldsSeq(ACL(false)) {
		if !slices.Contains(missing, strings.TrimPrefix(word, "+")) {
			rules = append(rules, word)
		}
	}
	s.do(rules...)
	return strings.Replace(s.url(), "//", "//limited:canary-password@", 1)
}

// TestO8_EachMissingCommandIsNamed protects an operator who has forgotten one
// command of an ACL user: whichever it is, it is named when a machine connects,
// not when the first token is minted, and in Redis's own words.
func TestO8_EachMissingCommandIsNamed(t *testing.T) {
	s := serve(t)
	for _, command := range commands {
		if command == "select" {
			continue // of another database than the first: the connection's making fails
		}
		t.Run(command, func(t *testing.T) {
			f, err := Open(Options{URL: allow(s, command), Sealer: newKeyset(t), Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			err = f.Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), "no permissions to run the '"+command+"' command") {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "limited") || !strings.Contains(err.Error(), "ACL SETUSER <user> "+ACL(false)) {
				t.Errorf("%v", err)
			}
		})
	}
	s.do("FLUSHALL") // what cannot be deleted ends by itself
	f, err := Open(Options{URL: allow(s), Sealer: newKeyset(t), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if left := s.do("KEYS", "*"); left != "[]" {
		t.Errorf("the rehearsals left %s", left)
	}
}

// TestO8_NoFlapping protects whoever reads log and status: a Redis that allows
// too little is down once, with all that is missing, until it allows the rest.
// What is found missing then is told as well.
func TestO8_NoFlapping(t *testing.T) {
	s := serve(t)
	m := boot(t, new(issuer), Options{URL: allow(s, "evalsha", "xadd"), Sealer: newKeyset(t)})
	m.get(t, person("alice"))
	cause := m.change(t)
	for _, command := range []string{"evalsha", "xadd"} {
		if !strings.Contains(cause, "'"+command+"'") {
			t.Errorf("%s is missing in %q", command, cause)
		}
	}
	// It goes on trying.
	tried := func() int {
		var n int
		for line := range strings.Lines(s.do("INFO", "commandstats")) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:"); ok {
				_, rejected, _ := strings.Cut(rest, "rejected_calls=")
				_, _ = fmt.Sscanf(rejected, "%d", &n)
			}
		}
		return n
	}
	before := tried()
	until(t, 60*time.Second, "it is tried three more times", func() bool { return tried() >= before+3 })
	m.get(t, person("bob"))
	status := m.member.Status()
	if len(m.changes) > 0 || status.Up || status.Failures != 1 || status.Cause != cause {
		t.Errorf("%d changes, %+v", len(m.changes), status)
	}
	allow(s, "evalsha")
	if again := m.change(t); !strings.Contains(again, "'evalsha'") || strings.Contains(again, "'xadd'") {
		t.Errorf("cause %q", again)
	}
	allow(s)
	if back := m.change(t); back != "up" {
		t.Errorf("cause %q", back)
	}
	if status := m.member.Status(); status.Cause != "" {
		t.Errorf("%+v", status)
	}
}
