// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// forged: while people use their sessions, somebody sends sessions that are
// none, each of them once.
func (b *bench) forged(ctx context.Context) error {
	const (
		people  = 100
		good    = 500 // requests a second
		bad     = 1000
		settle  = 5 * time.Second
		before  = 20 * time.Second
		lasts   = 60 * time.Second
		already = 10 * time.Second // of the flood, when its memory is first looked at
	)
	l, err := newLogin()
	if err != nil {
		return err
	}
	defer l.close()
	s, err := b.stage(ctx, play{people: people, by: byID, session: l.appSession()})
	if err != nil {
		return err
	}
	caddy := s.servers[0]
	sessions, err := l.sessions(s.users)
	if err != nil {
		return err
	}
	users := newLoadBy(caddy.addr, l.line(), sessions)
	defer users.close()
	if err := s.fill(ctx, users); err != nil {
		return err
	}
	users.steady(ctx, good, settle)
	quiet := quantile(times(users.steady(ctx, good, before), every), 0.99)
	b.report.staged(fmt.Sprintf("Forged sessions: `app_session` with ES256 and a JWKS; %d people, %d requests a second, for %.0f s alone and then for %.0f s together with %s made-up sessions a second, each sent once. Load and Caddy share the cores.", people, good, before.Seconds(), lasts.Seconds(), grouped(bad)))

	for _, flood := range []struct {
		name   string
		most   int // calls for keys
		forge  func(n int) (string, error)
		toKnow string
	}{
		{"forged, expired and garbage", 0, l.forge, "0"},
		// A key that is not known may be the issuer's newest: it has to be asked now and then.
		{"of keys nobody knows", int(lasts/(10*time.Second)) + 1, l.unknown, "≤ 1 in 10 s"},
	} {
		name := fmt.Sprintf("%s sessions a second for %.0f s, %s", grouped(bad), lasts.Seconds(), flood.name)
		made := make([]string, int(lasts.Seconds()*bad)+1)
		for i := range made {
			if made[i], err = flood.forge(i); err != nil {
				return err
			}
		}
		crowd := newLoadBy(caddy.addr, l.line(), made)
		if _, err := s.watched(ctx); err != nil {
			return err
		}
		first, err := s.counts(ctx)
		if err != nil {
			return err
		}
		keys := l.asked.Load()
		var attacks, samples []sample
		over := make(chan struct{}, 2)
		go func() { attacks = crowd.steady(ctx, bad, lasts); over <- struct{}{} }()
		go func() { samples = users.steady(ctx, good, lasts); over <- struct{}{} }()
		if err := wait(ctx, already); err != nil {
			return err
		}
		begin, err := caddy.memory()
		if err != nil {
			return err
		}
		<-over
		<-over
		end, err := caddy.memory()
		if err != nil {
			return err
		}
		crowd.close()
		seen, err := s.watched(ctx)
		if err != nil {
			return err
		}
		n, err := s.counts(ctx)
		if err != nil {
			return err
		}
		asked := int(l.asked.Load() - keys)
		refused := count(attacks, func(s *sample) bool { return s.status == http.StatusUnauthorized })
		upstream := n.Delegated - first.Delegated - len(samples)
		p99 := quantile(times(samples, every), 0.99)
		b.report.asked(name, "made-up sessions refused with 401", "all", fmt.Sprintf("%s of %s", grouped(refused), grouped(len(attacks))), refused == len(attacks))
		b.report.asked(name, "calls for tokens; calls of the API beyond the users' own", "0; 0", fmt.Sprintf("%d; %d", seen.Calls, upstream), seen.Calls == 0 && upstream == 0)
		b.report.asked(name, "calls for keys", flood.toKnow, grouped(asked), asked <= flood.most)
		b.report.asked(name, "users' requests that failed", "0", failures(samples), count(samples, (*sample).failed) == 0)
		b.report.asked(name, "users' p99, divided by that without", "≤ 2", fmt.Sprintf("%.2f (%s, %s)", p99/quiet, seconds(p99), seconds(quiet)), p99 <= 2*quiet)
		b.report.asked(name, "Caddy's memory after 10 s and at the end", "the same ± 10 %", fmt.Sprintf("%.0f MiB, %.0f MiB", begin, end), end <= 1.1*begin)
	}
	return ctx.Err()
}

// login is an issuer of sessions, and whoever makes some up.
type login struct {
	server   *http.Server
	address  string
	key      *ecdsa.PrivateKey
	otherKey *ecdsa.PrivateKey
	asked    atomic.Int64
}

const kid = "bench"

func newLogin() (*login, error) {
	l := new(login)
	var err error
	for _, key := range []**ecdsa.PrivateKey{&l.key, &l.otherKey} {
		if *key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.key.Public(), KeyID: kid, Use: "sig", Algorithm: "ES256"}}})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.address = "http://" + listener.Addr().String()
	l.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		l.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

func (l *login) close() { _ = l.server.Close() }

// appSession is the directive that takes its sessions.
func (l *login) appSession() string {
	return fmt.Sprintf(`
		app_session {
			cookie   __Host-session
			jwks     %s/jwks
			issuer   %s
			audience app
		}
`, l.address, l.address)
}

// line begins the header line with a session.
func (*login) line() string { return "Cookie: __Host-session=" }

func (l *login) sign(key *ecdsa.PrivateKey, kid, user string, age time.Duration) (string, error) {
	options := new(jose.SignerOptions).WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", err
	}
	issued := time.Now().Add(-age)
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": l.address, "aud": "app", "sub": user, "jti": rand.Text(),
		"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
	}).Serialize()
}

// sessions signs users in.
func (l *login) sessions(users []string) ([]string, error) {
	all := make([]string, len(users))
	for i, user := range users {
		var err error
		if all[i], err = l.sign(l.key, kid, user, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// forge makes the n-th session up: signed by another key of the same name,
// expired, or nothing at all.
func (l *login) forge(n int) (string, error) {
	switch n % 3 {
	case 0:
		return l.sign(l.otherKey, kid, "somebody", 0)
	case 1:
		return l.sign(l.key, kid, "somebody", 2*time.Hour)
	default:
		return strings.Repeat(rand.Text(), 15), nil
	}
}

// unknown makes one up that names a key nobody knows.
func (l *login) unknown(int) (string, error) {
	return l.sign(l.otherKey, rand.Text(), "somebody", 0)
}
