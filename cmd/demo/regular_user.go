// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// carol is nobody whom a visitor can sign in as: her calls must not show up
// among theirs.
var carol = simulator.Participant{
	ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "carol", FirstName: "Carol", LastName: "Example",
}

const callInterval = time.Second

// regularUser is Carol, who has the app open and calls once a second while she is
// switched on.
type regularUser struct {
	base    string
	session string

	switching sync.Mutex
	stop      func() // nil: off

	mu   sync.Mutex
	last regularState
}

// regularState is what Carol has met.
type regularState struct {
	On    bool    `json:"on"`
	Last  outcome `json:"last"`
	InRow int     `json:"inRow"` // calls that ended like the last; 0: none yet
}

func newRegular(s *stack.Stack) *regularUser {
	s.Platform.AddParticipant(carol)
	return &regularUser{base: s.URL(), session: s.App.SignIn(carol.Identifier, time.Time{})}
}

func (r *regularUser) state() regularState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// set switches her on or off. When it returns, she is.
func (r *regularUser) set(on bool) {
	r.switching.Lock()
	defer r.switching.Unlock()
	switch {
	case on && r.stop == nil:
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { r.run(ctx) })
		r.stop = func() { cancel(); wg.Wait() }
	case !on && r.stop != nil:
		r.stop()
		r.stop = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.On = on
}

func (r *regularUser) run(ctx context.Context) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	every := time.NewTicker(callInterval)
	defer every.Stop()
	for {
		o := callAPI(ctx, client, r.base, r.session)
		if ctx.Err() != nil {
			return // she was switched off, nothing failed
		}
		r.record(o)
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *regularUser) record(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.Status != r.last.Last.Status || o.Code != r.last.Last.Code {
		r.last.InRow = 0
	}
	r.last.Last = o
	r.last.InRow++
}
