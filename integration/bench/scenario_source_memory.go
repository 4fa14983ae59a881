// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// mostOfAGrant is how many bytes a grant in use may take beside its tokens.
const mostOfAGrant = 1200

// sourceMemory: what a grant takes in the memory of a Caddy that has used it.
func (b *bench) sourceMemory(ctx context.Context) error {
	s, err := b.sourceStage(ctx, sourcePlay{people: b.people, sqlite: true})
	if err != nil {
		return err
	}
	if err := s.connectAll(ctx); err != nil {
		return err
	}
	s.servers[0].processes[0].kill()
	s.config.admin = filepath.Join(b.dir, "admin.sock")
	server, err := b.caddy(ctx, "source", s.config)
	if err != nil {
		return err
	}
	l := newLoad(server.addr, s.users)
	defer l.close()
	some := newLoad(server.addr, s.users[:connections])
	defer some.close()
	if failed := count(some.each(ctx), (*sample).failed); failed > 0 { // what is made once
		return fmt.Errorf("%d requests failed", failed)
	}
	before, err := heapOf(ctx, s.config.admin)
	if err != nil {
		return err
	}
	if failed := count(l.each(ctx), (*sample).failed); failed > 0 {
		return fmt.Errorf("%d requests failed", failed)
	}
	after, err := heapOf(ctx, s.config.admin)
	if err != nil {
		return err
	}
	var grants []sources.Grant
	if err := s.control(ctx, http.MethodGet, "grants", nil, &grants); err != nil {
		return err
	}
	tokens := 0
	for _, g := range grants {
		tokens += len(g.Access) + len(g.Refresh)
	}
	each := (after - before - float64(tokens)) / float64(b.people-connections)
	b.report.asked(grouped(b.people)+" grants in use", fmt.Sprintf("bytes per grant beside its tokens of %d bytes", tokens/max(1, len(grants))),
		fmt.Sprintf("≤ %s", grouped(mostOfAGrant)), fmt.Sprintf("%.0f", each), each <= mostOfAGrant)
	return nil
}

// heapOf is what the heap of the Caddy behind an admin socket holds after a collection.
func heapOf(ctx context.Context, socket string) (bytes float64, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for range 3 { // what the first collection only unlinks
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/debug/pprof/heap?gc=1&debug=1", nil)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "# HeapAlloc = ")
		if _, err := fmt.Sscan(rest, &bytes); err != nil {
			return 0, fmt.Errorf("the heap is not told: %w", err)
		}
	}
	return bytes, nil
}
