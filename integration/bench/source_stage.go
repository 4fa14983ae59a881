// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
)

// sourceName is the name of the only source: the first segment of route.
const sourceName = "api"

// sourcePlay is what a scenario of sources needs.
type sourcePlay struct {
	people   int
	replicas int    // Caddys; 0 means one
	sqlite   bool   // grants in a file, else in PostgreSQL
	redis    bool   // shared by the replicas
	lines    string // more lines of the source
	preset   string // of the vendor; default: city_lab
}

// sourceStage is a simulated vendor and this project's Caddys in front of it.
type sourceStage struct {
	*vendor
	servers  []*server
	users    []string
	config   caddyfile
	database *postgres.Server
	postgres string // address of the database; empty: a file
}

// sourceStage starts what a scenario needs.
func (b *bench) sourceStage(ctx context.Context, p sourcePlay) (*sourceStage, error) {
	preset := p.preset
	if preset == "" {
		preset = "city_lab"
	}
	v, err := b.vendor(preset, p.people)
	if err != nil {
		return nil, err
	}
	s := &sourceStage{vendor: v, users: userIDs(p.people)}
	options, err := b.grantsOptions(ctx, s, p)
	if err != nil {
		return nil, err
	}
	s.config = sourceConfig(v.source("", p.lines), options)
	for range max(1, p.replicas) {
		server, err := b.caddy(ctx, "source", s.config)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	return s, nil
}

// sourceConfig is a configuration with one source.
func sourceConfig(source, options string) caddyfile {
	return caddyfile{
		options: "\tdelegate {" + source + "\n\t\tprovider study sources\n" + options + "\n\t}",
		site:    "\t\tdelegate_proxy study {\n\t\t\tallow GET " + route + "\n\t\t}",
		consent: "\t\tdelegate_connect study {\n\t\t\turl  http://127.0.0.1" + consentsPath + "\n\t\t\tthen /\n\t\t}",
	}
}

// grantsOptions starts what keeps the grants, and returns its options.
func (b *bench) grantsOptions(ctx context.Context, s *sourceStage, p sourcePlay) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "grants-")
	if err != nil {
		return "", err
	}
	keys, err := keyset.Generate()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "keys.json")
	if err := keys.Create(file); err != nil {
		return "", err
	}
	options := "\t\tkeyset {file." + file + "}\n\t\tgrants sqlite " + filepath.Join(dir, "grants.db")
	if !p.sqlite {
		if s.database, s.postgres, err = b.postgres(ctx); err != nil {
			return "", err
		}
		options = "\t\tkeyset {file." + file + "}\n\t\tgrants postgres " + s.postgres
	}
	if p.redis {
		_, addr, err := b.redis(ctx)
		if err != nil {
			return "", err
		}
		options += "\n\t\tcache redis redis://" + addr
	}
	return options, nil
}

// postgres starts a PostgreSQL that waits for the disk, and makes a database.
func (b *bench) postgres(ctx context.Context) (server *postgres.Server, address string, err error) {
	if err := os.Setenv("POSTGRES_FSYNC", "on"); err != nil {
		return nil, "", err
	}
	if server, err = postgres.Start(); err != nil {
		return nil, "", err
	}
	b.ends = append(b.ends, func() { _ = server.Stop() })
	address, err = server.Database(ctx)
	return server, address, err
}

// connect has a person go all the way at one of the Caddys.
func (s *sourceStage) connect(ctx context.Context, server *server, user, account string) error {
	f, err := server.beginSource(ctx, user)
	if err != nil {
		return err
	}
	to, err := s.decide(ctx, f.page, account)
	if err != nil {
		return err
	}
	return server.endSource(ctx, f, to)
}

// endSource follows the vendor's redirect.
func (s *server) endSource(ctx context.Context, f *sourceConnected, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+to, nil)
	if err != nil {
		return err
	}
	req.Header.Set(sessionHeader, f.user)
	req.Header.Set("Cookie", f.cookies)
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"} {
		req.Header.Set(name, value)
	}
	res, text, err := answerOf(req)
	if err == nil && (res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Location"), "connect=connected")) {
		err = unexpected("/return", res, text)
	}
	return err
}

// everybody does something for all people, so many at a time, and returns how many
// times it failed, and one of the errors.
func (s *sourceStage) everybody(atOnce int, do func(i int) error) (failed int, err error) {
	var next, bad atomic.Int64
	var one atomic.Pointer[error]
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(s.users) {
					return
				}
				if err := do(i); err != nil {
					bad.Add(1)
					one.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if e := one.Load(); e != nil {
		err = *e
	}
	return int(bad.Load()), err
}

// connectAll connects everybody, at the Caddys in turn. It is an error if one fails.
func (s *sourceStage) connectAll(ctx context.Context) error {
	failed, err := s.everybody(connections, func(i int) error {
		return s.connect(ctx, s.servers[i%len(s.servers)], s.users[i], s.accounts[i])
	})
	if failed > 0 {
		return fmt.Errorf("%d people of %d could not connect: %w", failed, len(s.users), err)
	}
	return ctx.Err()
}

// browsers is the client for what is no load: people who consent, and control calls.
var browsers = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 256},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       2 * answerTimeout,
}

// answerOf sends a request and reads the whole answer.
func answerOf(req *http.Request) (*http.Response, []byte, error) {
	res, err := browsers.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, text, err
}

func unexpected(what string, res *http.Response, text []byte) error {
	return fmt.Errorf("%s: status %d, Location %q: %.300s", what, res.StatusCode, res.Header.Get("Location"), text)
}
