// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Degradation is something that does not work as it should.
type Degradation struct {
	// Part and Step say where: a provider or provider/source, and issuer, requests or
	// redis; sessions and requests; grants and database; files and a setting;
	// certificates and a host.
	Part string `json:"part"`
	Step string `json:"step"`
	// Cause is a code, or a sentence.
	Cause string `json:"cause"`
	// Since is when this process noticed it; zero if it does not know.
	Since time.Time `json:"since,omitzero"`
	// Action is what to do next.
	Action string `json:"action"`
}

// The parts of a server that are no provider, and the steps.
const (
	PartSessions     = "sessions"
	PartGrants       = "grants"
	PartFiles        = "files"
	PartCertificates = "certificates"

	StepIssuer   = "issuer"
	StepRequests = "requests"
	StepRedis    = "redis"
	StepDatabase = "database"
)

// A certificate is about to end when less than a sixth of its life is left, and not
// more than two weeks. Caddy renews when a third is left: half of that without
// success is worth a look.
const (
	remainingLife = 6
	minRemaining  = 14 * 24 * time.Hour
)

// Judge sets Degraded. mend returns what to do about a code that everybody is
// refused with.
func (s *Status) Judge(now time.Time, mend func(delegation.Code) string) {
	s.Degraded = []Degradation{}
	add := func(d ...Degradation) { s.Degraded = append(s.Degraded, d...) }
	for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
		p := s.Providers[name]
		add(p.degraded(name, mend)...)
		for _, source := range slices.Sorted(maps.Keys(p.Sources)) {
			add(p.Sources[source].degraded(name+"/"+source, mend)...)
		}
	}
	if s.Sessions != nil {
		add(s.Sessions.degraded(PartSessions, mend)...)
	}
	if s.Grants != nil && !s.Grants.Up {
		add(Degradation{PartGrants, StepDatabase, s.Grants.Cause, s.Grants.Since, mend(delegation.GrantsUnavailable)})
	}
	for _, f := range s.Files {
		if cause, action := f.degraded(now); cause != "" {
			add(Degradation{Part: PartFiles, Step: f.Setting, Cause: cause, Action: action})
		}
	}
	for _, c := range s.Certificates {
		if cause, action := c.degraded(now); cause != "" {
			add(Degradation{Part: PartCertificates, Step: c.Host, Cause: cause, Action: action})
		}
	}
}

// degraded is of the provider itself: its sources' are their own.
func (p *Provider) degraded(name string, mend func(delegation.Code) string) []Degradation {
	all := append(p.Engine.degraded(name, mend), p.Refusals.degraded(name, mend)...)
	if p.Shared == nil {
		return all
	}
	if !p.Shared.Up && p.Shared.Cause != "" {
		all = append(all, Degradation{
			name, StepRedis, p.Shared.Cause, p.Shared.Since,
			"users notice nothing, this machine mints for itself: see that Redis runs and takes this user's commands, by the step redis of `caddy delegate check`",
		})
	}
	if pending := p.Shared.Pending + p.Shared.PendingLogouts; p.Shared.Up && pending > 0 {
		all = append(all, Degradation{
			Part: name, Step: StepRedis, Cause: fmt.Sprintf("the other machines do not know of %d purges and sign-outs yet", pending),
			Action: "nothing, if it passes within a minute; otherwise see the other machines' status",
		})
	}
	return all
}

func (e Engine) degraded(part string, mend func(delegation.Code) string) []Degradation {
	if e.Ready {
		return nil
	}
	return []Degradation{{part, StepIssuer, string(e.Reason), e.Issuer.Since, mend(e.Reason)}}
}

func (r *Refusals) degraded(part string, mend func(delegation.Code) string) []Degradation {
	if r.EverybodyRefused == "" {
		return nil
	}
	return []Degradation{{part, StepRequests, "everybody is refused: " + string(r.EverybodyRefused), r.EverybodyRefusedSince, mend(r.EverybodyRefused)}}
}

func (f *File) degraded(now time.Time) (cause, action string) {
	switch {
	case f.Cause != "":
		return f.Cause, "put the file back, and have Caddy's user read it: what was read from it before is in use, and Caddy would not start without it"
	case !f.Ends.IsZero() && f.Ends.Before(now):
		return "every certificate in it has ended", "put the authority's new certificate into " + f.File + ", beside the old one"
	case !f.Ends.IsZero() && f.Ends.Sub(now) < minRemaining:
		return "the last certificate in it is about to end", "put the authority's new certificate into " + f.File + ", beside the old one"
	default:
		return "", ""
	}
}

func (c *Certificate) degraded(now time.Time) (cause, action string) {
	action = "if Caddy gets it by itself, see the loggers tls.renew and tls.obtain of its log; otherwise put a new one into the files of the site's `tls`, and reload"
	switch left := c.Ends.Sub(now); {
	case left <= 0:
		return "the certificate has ended", action
	case left < min(c.Ends.Sub(c.Begins)/remainingLife, minRemaining):
		return "the certificate is about to end", action
	default:
		return "", ""
	}
}
