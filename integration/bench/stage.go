// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// The words of the Caddyfile for how a participant is found.
const (
	byID         = "participant_id"
	byIdentifier = "participant_identifier"
)

// play is what a scenario needs.
type play struct {
	people   int
	by       string
	replicas int            // Caddys; 0 means one
	options  string         // more options of delegate
	proxy    string         // block of delegate_proxy
	session  string         // a directive that says who is signed in
	platform map[string]any // settings of the simulator
}

// stage is a simulated platform and this project's Caddy in front of it, or
// several of them.
type stage struct {
	platform string // address with scheme
	servers  []*server
	users    []string // as the session names them
}

// stage starts what a scenario needs.
func (b *bench) stage(ctx context.Context, p play) (*stage, error) {
	private, public, err := b.accountKey()
	if err != nil {
		return nil, err
	}
	_, addr, err := b.start("platform", public, strconv.Itoa(p.people))
	if err != nil {
		return nil, err
	}
	s := &stage{platform: "http://" + addr}
	for _, person := range simulator.SampleParticipants(p.people) {
		if p.by == byID {
			s.users = append(s.users, person.ID)
		} else {
			s.users = append(s.users, person.Identifier)
		}
	}
	settings := map[string]any{"delegatedQuota": 0}
	maps.Copy(settings, p.platform)
	if err := s.set(ctx, settings); err != nil {
		return nil, err
	}
	config := delegated{platform: s.platform, key: private, by: p.by, options: p.options, proxy: p.proxy}.caddyfile()
	config.site = "\t\theader >X-Cache {http.delegate.cache}\n" + p.session + config.site
	for range max(1, p.replicas) {
		server, err := b.caddy(ctx, "delegate", config)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	return s, nil
}

// set changes the simulator's settings.
func (s *stage) set(ctx context.Context, change map[string]any) error {
	return s.control(ctx, http.MethodPatch, "/_simulator/settings", change, nil)
}

// tokenOutage has the token endpoint fail in a way, or work again if it is empty.
func (s *stage) tokenOutage(ctx context.Context, o simulator.Outage) error {
	return s.set(ctx, map[string]any{"outages": map[string]simulator.Outage{"token": o}})
}

// counts returns the simulator's totals.
func (s *stage) counts(ctx context.Context) (n simulator.Counts, err error) {
	return n, s.control(ctx, http.MethodGet, "/_simulator/counts", nil, &n)
}

// watched returns what was seen at the token endpoint since it was last asked.
func (s *stage) watched(ctx context.Context) (w watched, err error) {
	return w, s.control(ctx, http.MethodGet, watchedPath, nil, &w)
}

func (s *stage) control(ctx context.Context, method, path string, body, into any) error {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.platform+path, &text)
	if err != nil {
		return err
	}
	res, err := browsers.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("the platform's %s: status %d: %s", path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// fill has every user make one request, so that everybody has a token.
func (s *stage) fill(ctx context.Context, l *load) error {
	if failed := count(l.each(ctx), (*sample).failed); failed > 0 {
		return fmt.Errorf("%d of %d first requests failed", failed, len(l.users))
	}
	return ctx.Err()
}

// crowded returns when a Caddy is handling n requests at once, or with how
// many it was when the time is up.
func (s *server) crowded(ctx context.Context, n int, most time.Duration) (int, error) {
	for deadline := time.Now().Add(most); ; {
		inside, err := s.inFlight(ctx)
		if err != nil || inside >= n || time.Now().After(deadline) {
			return inside, err
		}
		select {
		case <-ctx.Done():
			return inside, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
