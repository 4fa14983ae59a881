// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// kept is how many tokens are kept at once.
const kept = 1_000_000

// most is how many bytes a token may take beyond itself.
const most = 600

// memory: what a token costs in the engine, for short and for long ones.
func (b *bench) memory(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name := grouped(kept) + " tokens in memory"
	for _, size := range []int{tokenLength, 1200} {
		p, out, err := b.spawn("memory", self, "role", "memory", strconv.Itoa(size))
		if err != nil {
			return err
		}
		in := bufio.NewReader(out)
		line, err := in.ReadString('\n')
		p.watch(in)
		if <-p.over; err != nil {
			return p.died()
		}
		beyond, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return err
		}
		b.report.asked(name, fmt.Sprintf("bytes per token of %s bytes, beyond the token", grouped(size)),
			fmt.Sprintf("≤ %d", most), fmt.Sprintf("%.0f", beyond), beyond <= most)
	}
	return ctx.Err()
}

// playMemory fills an engine and prints how many bytes of heap each token
// takes beyond itself.
func playMemory(args []string) error {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	e := tokens.New(tokens.Options{MaxEntries: 2 * kept}) // shards do not fill evenly
	v := e.Attach(mint{size})
	before := heap()
	for i := range kept {
		if _, _, err := v.Get(context.Background(), someone(i)); err != nil {
			return err
		}
	}
	after := heap()
	if n := e.Status().Entries; n != kept {
		return fmt.Errorf("%d tokens are kept, want %d", n, kept)
	}
	fmt.Println((float64(after)-float64(before))/kept - float64(size))
	return nil
}

// heap is what is in use, without garbage.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one only unlinked
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What a configuration has once is shared by everybody's identities: the
// scopes of a route, and the fingerprints of key and settings.
var (
	scopes      = []string{"Participant:read", "SurveyAnswers:read"}
	fingerprint = strings.Repeat("f", 64)
)

// someone is the identity of a participant: what the platform and the session
// call them is theirs alone, the rest belongs to the configuration.
func someone(i int) delegation.Identity {
	return delegation.Identity{
		Provider: "mydatahelps", Issuer: "https://mydatahelps.org" + tokenPath, Client: "MyDataHelps.DelegatedParticipant",
		Key: fingerprint, Audience: "https://mydatahelps.org", Scopes: scopes, Config: fingerprint,
		Person:      delegation.Person{Realm: "default", Subject: fmt.Sprintf("5e1f0000-0000-4000-8000-%012x", i)},
		Participant: fmt.Sprintf("5e1f0000-0000-4000-9000-%012x", i),
	}
}

// mint makes tokens of a size. It implements [tokens.Client].
type mint struct{ size int }

// Mint implements [tokens.Client].
func (m mint) Mint(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
	token := make([]byte, m.size/2)
	_, _ = rand.Read(token)
	now := time.Now()
	return &delegation.Token{Access: delegation.NewSecret(hex.EncodeToString(token)), Scope: "Participant:read SurveyAnswers:read", Minted: now, Expires: now.Add(time.Hour)}, nil
}

// Forget implements [tokens.Client].
func (mint) Forget(delegation.Selection) {}

// ObserveRequest implements [tokens.Client].
func (mint) ObserveRequest(tokens.RequestResult) {}

// BeginMint implements [tokens.Client].
func (mint) BeginMint(ctx context.Context, _ *delegation.Identity, _ tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	return ctx, func(*delegation.Token, error) {}
}
