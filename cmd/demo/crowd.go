// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	people        = 100
	clientsOfEach = 10 // tabs, phones, watches
	clients       = people * clientsOfEach

	apiPath    = "/mdh/api/v1/delegated/participant"
	apiTimeout = 30 * time.Second
)

// outcome is what came of one call.
type outcome struct {
	Status int    `json:"status"` // 0: no answer at all
	Code   string `json:"code,omitempty"`
	Micros int64  `json:"micros"` // how long it took
}

func (o outcome) good() bool { return o.Status == http.StatusOK }

// callAPI makes one call through Caddy, as the app's page would.
func callAPI(ctx context.Context, client *http.Client, base, session string) outcome {
	began := time.Now()
	status, code := send(ctx, client, base, session)
	return outcome{status, code, time.Since(began).Microseconds()}
}

func send(ctx context.Context, client *http.Client, base, session string) (status int, code string) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+apiPath, http.NoBody)
	if err != nil {
		return 0, "no_answer"
	}
	req.Header.Set("Cookie", stack.CookieName+"="+session)
	res, err := client.Do(req)
	if err != nil {
		return 0, "no_answer"
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "no_answer"
	}
	var problem struct {
		Code string `json:"code"`
	}
	if res.StatusCode != http.StatusOK {
		_ = json.Unmarshal(body, &problem) // what is no problem+json has no code
	}
	return res.StatusCode, problem.Code
}

// crowd is a hundred signed-in people whose clients all come at once.
type crowd struct {
	base     string
	sessions []string
	issuer   *issuer

	mu      sync.Mutex
	running bool
	latest  *crowdResult
}

// crowdResult is what came of sending the crowd.
type crowdResult struct {
	At      time.Time      `json:"at"`
	People  int            `json:"people"`
	Clients int            `json:"clients"`
	Good    int            `json:"good"`
	Refused map[string]int `json:"refused"` // by status and code
	Slowest int64          `json:"slowest"` // microseconds
	Calls   int            `json:"calls"`   // that arrived at the token endpoint meanwhile
	Most    int            `json:"most"`    // of them at once
}

func newCrowd(s *stack.Stack, i *issuer) *crowd {
	c := &crowd{base: s.URL(), issuer: i}
	for _, p := range simulator.SampleParticipants(people) {
		s.Platform.AddParticipant(p)
		c.sessions = append(c.sessions, s.App.SignIn(p.Identifier, time.Time{}))
	}
	return c
}

// state tells whether the crowd is on its way, and what came of it last.
func (c *crowd) state() (running bool, latest *crowdResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.latest
}

func (c *crowd) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return false
	}
	c.running = true
	return true
}

func (c *crowd) end(r *crowdResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.latest = false, r
}

// send has every client make one call at the same moment. It returns nil if
// they are on their way already.
func (c *crowd) send(ctx context.Context) *crowdResult {
	if !c.begin() {
		return nil
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	c.issuer.resetPeak()
	calls, outcomes := c.issuer.calls(), make([]outcome, clients)
	r := &crowdResult{At: time.Now(), People: people, Clients: clients, Refused: make(map[string]int)}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range outcomes {
		wg.Go(func() {
			<-start
			outcomes[n] = callAPI(ctx, client, c.base, c.sessions[n%people])
		})
	}
	close(start)
	wg.Wait()
	for _, o := range outcomes {
		r.add(o)
	}
	r.Calls, r.Most = c.issuer.calls()-calls, c.issuer.peak()
	c.end(r)
	return r
}

func (r *crowdResult) add(o outcome) {
	r.Slowest = max(r.Slowest, o.Micros)
	switch {
	case o.good():
		r.Good++
	case o.Status == 0:
		r.Refused[o.Code]++
	default:
		r.Refused[strings.TrimSpace(fmt.Sprintf("%d %s", o.Status, o.Code))]++
	}
}
