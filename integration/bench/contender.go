// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// contender is one way to do the same: forward a signed-in user's request with
// a bearer of theirs.
type contender struct {
	name  string
	users int
	ours  bool
	least float64 // of the base's requests; 0: as the base has it
	start func(context.Context, *bench, *upstreams) (*server, error)

	server *server
	load   *load
	rounds []round
}

// upstreams are the processes behind the contenders.
type upstreams struct {
	platform string // address with scheme
	addr     string // without
	key      string // the service account's, a file
}

// round is what a contender did in one comparison.
type round struct {
	requests int
	failed   int
	measured time.Duration
	cpu      time.Duration // of the contender's process
	p50, p99 float64       // seconds
}

func (r round) rate() float64 { return float64(r.requests-r.failed) / r.measured.Seconds() }

func (r round) cpuPerRequest() float64 { return r.cpu.Seconds() / float64(max(1, r.requests)) }

// Names of contenders that are compared with others.
const (
	stockName       = "Caddy `reverse_proxy`, one fixed token"
	forwardAuthName = "Caddy `forward_auth` and an authenticator"
	handwrittenName = "`httputil.ReverseProxy`, map and mutex"
)

func oursName(users int) string {
	return fmt.Sprintf("`delegate_proxy`, %s", counted(users, "participant"))
}

func beforeName(users int) string { return oursName(users) + ", before" }

// contenders are this module and what it is compared with: other ways to do
// the same or, if there is one, an earlier build of this program alone.
func contenders(before string) []*contender {
	var all []*contender
	if before == "" {
		all = []*contender{
			{name: stockName, users: 1000, start: startStock},
			{name: forwardAuthName, users: 1000, start: startForwardAuth},
			{name: handwrittenName, users: 1000, start: startHandwritten},
		}
	}
	for _, users := range []int{1, 1000, 100_000} {
		if before != "" {
			all = append(all, &contender{name: beforeName(users), users: users, start: oursBuiltAs(before)})
		}
		all = append(all, &contender{name: oursName(users), users: users, ours: true, start: oursBuiltAs("")})
	}
	return all
}

func startStock(ctx context.Context, b *bench, up *upstreams) (*server, error) {
	return b.caddy(ctx, "stock", caddyfile{site: `
		reverse_proxy ` + up.addr + ` {
			header_up Authorization "Bearer 0123456789abcdef0123456789abcdef"
		}`})
}

func startForwardAuth(ctx context.Context, b *bench, up *upstreams) (*server, error) {
	authenticator, auth, err := b.start("authenticator", up.platform)
	if err != nil {
		return nil, err
	}
	s, err := b.caddy(ctx, "forward_auth", caddyfile{site: `
		forward_auth ` + auth + ` {
			uri /auth
			copy_headers Authorization
			transport http {
				dial_timeout 2s
				response_header_timeout 5s
			}
		}
		reverse_proxy ` + up.addr})
	if err != nil {
		return nil, err
	}
	s.processes = append(s.processes, authenticator)
	return s, nil
}

func startHandwritten(_ context.Context, b *bench, up *upstreams) (*server, error) {
	p, addr, err := b.start("handwritten", up.platform)
	if err != nil {
		return nil, err
	}
	return &server{addr: addr, processes: []*process{p}}, nil
}

// oursBuiltAs starts this module as a program has it; "" is this one.
func oursBuiltAs(program string) func(context.Context, *bench, *upstreams) (*server, error) {
	return func(ctx context.Context, b *bench, up *upstreams) (*server, error) {
		c := delegated{
			platform: up.platform, key: up.key, by: "participant_id",
			// The default of 100 000 would drop some of 100 000: its shards do
			// not fill evenly.
			options: "\t\ttokens {\n\t\t\tmax_entries 200000\n\t\t}",
		}.caddyfile()
		c.program = program
		return b.caddy(ctx, "delegate", c)
	}
}

// userIDs returns n participant IDs, all of them of the same length.
func userIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("5e1f0000-0000-4000-8000-%012x", i)
	}
	return ids
}
