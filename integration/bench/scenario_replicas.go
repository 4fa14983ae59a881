// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// replicas: several Caddys share a Redis, and every participant asks all of
// them at about the same time, for the first time.
func (b *bench) replicas(ctx context.Context) error {
	for _, n := range []int{2, 4} {
		s, _, err := b.fleet(ctx, n)
		if err != nil {
			return err
		}
		samples, err := s.ask(ctx)
		if err != nil {
			return err
		}
		seen, err := s.watched(ctx)
		if err != nil {
			return err
		}
		minted, err := s.counts(ctx)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d replicas and a Redis, %s participants", n, grouped(crowd))
		b.report.asked(name, "participant tokens minted", grouped(crowd), grouped(minted.ParticipantTokens), minted.ParticipantTokens == crowd)
		b.report.asked(name, "calls at the issuer at once, at most", fmt.Sprintf("≤ %d", n*turns), grouped(seen.Peak), seen.Peak <= n*turns)
		b.reportFailed(name, samples)
		b.report.found(name, "service tokens minted", grouped(minted.ServiceTokens))
		b.stopAll()
	}
	return nil
}

// replicasAlone: as before with four, but Redis is killed when half of the
// tokens are minted.
func (b *bench) replicasAlone(ctx context.Context) error {
	const n = 4
	s, redis, err := b.fleet(ctx, n)
	if err != nil {
		return err
	}
	killed := make(chan error, 1)
	at := 0
	go func() {
		killed <- func() error {
			for {
				minted, err := s.counts(ctx)
				if err != nil {
					return err
				}
				if at = minted.ParticipantTokens; at >= crowd/2 {
					redis.kill()
					return nil
				}
				if err := wait(ctx, 20*time.Millisecond); err != nil {
					return err
				}
			}
		}()
	}()
	samples, err := s.ask(ctx)
	if err := errors.Join(err, <-killed); err != nil {
		return err
	}
	minted, err := s.counts(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d replicas, Redis killed after %s of %s mints", n, grouped(at), grouped(crowd))
	b.report.asked(name, "participant tokens minted", "≤ "+grouped(n*crowd), grouped(minted.ParticipantTokens), minted.ParticipantTokens <= n*crowd)
	b.reportFailed(name, samples)
	return nil
}

// fleet starts Redis and some Caddys that share it.
func (b *bench) fleet(ctx context.Context, n int) (*stage, *process, error) {
	redis, addr, err := b.redis(ctx)
	if err != nil {
		return nil, nil, err
	}
	keys, err := keyset.Generate()
	if err != nil {
		return nil, nil, err
	}
	text, err := keys.Marshal()
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(b.dir, "keyset.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, nil, err
	}
	b.report.staged(fmt.Sprintf("Replicas: every participant asks each of them for the first time, in the same order at the same time, over %d connections a replica; the issuer takes %d ms for a token. One Redis, which keeps nothing on disk.", connections, issuerTakes))
	s, err := b.stage(ctx, play{
		people: crowd, by: byID, replicas: n,
		platform: map[string]any{"outages": map[string]simulator.Outage{"token": {Delay: issuerTakes}}},
		options:  fmt.Sprintf("\t\tcache redis redis://%s\n\t\tkeyset {file.%s}", addr, file),
	})
	return s, redis, err
}

// redis starts a Redis that keeps nothing on disk.
func (b *bench) redis(ctx context.Context) (*process, string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", fmt.Errorf("%w: install redis-server", err)
	}
	port, err := port.Free()
	if err != nil {
		return nil, "", err
	}
	p, out, err := b.spawn("redis", program, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.dir)
	if err != nil {
		return nil, "", err
	}
	p.watch(out)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return p, addr, p.await(ctx, addr)
}

// ask has every participant ask every replica once, all replicas in the same
// order at the same time.
func (s *stage) ask(ctx context.Context) ([]sample, error) {
	all := make([][]sample, len(s.servers))
	var wg sync.WaitGroup
	for i, server := range s.servers {
		l := newLoad(server.addr, s.users)
		defer l.close()
		wg.Go(func() { all[i] = l.each(ctx) })
	}
	wg.Wait()
	return flatten(all), ctx.Err()
}
