// SPDX-License-Identifier: Apache-2.0

// Package dnstest answers the look-ups of host names in tests.
package dnstest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// Answer has look-ups of a name be answered until the test ends: the first by the
// first of the addresses, the next by the next, and all further ones by the last. Other
// names do not exist. Nothing of the network is used, and the resolver of the whole
// process is replaced, so such a test cannot be parallel. It returns how many look-ups
// there have been.
func Answer(t testing.TB, name string, addresses ...string) (lookups func() int) {
	t.Helper()
	z := &zone{name: strings.ToLower(name) + "."}
	for _, text := range addresses {
		z.addresses = append(z.addresses, netip.MustParseAddr(text))
	}
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		background.Go("answering look-ups", func() {
			defer func() { _ = ours.Close() }()
			_ = z.serve(ours)
		})
		return theirs, nil
	}}
	return z.count
}

// zone is one name and its answers.
type zone struct {
	name      string
	addresses []netip.Addr // one for each look-up

	mu      sync.Mutex
	lookups int
}

func (z *zone) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.lookups
}

// serve answers the queries of one connection, each after its length (RFC 1035 section
// 4.2.2).
func (z *zone) serve(conn net.Conn) error {
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return err
		}
		answer, err := z.answer(query)
		if err != nil {
			return err
		}
		if _, err := conn.Write(binary.BigEndian.AppendUint16(nil, uint16(len(answer)))); err != nil { //nolint:gosec // far below 64 KiB
			return err
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// answer returns the answer to a query. A look-up is two of them, for A and for AAAA:
// the one for A counts, and gets whatever address is next.
func (z *zone) answer(query []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	header.Response, header.RecursionAvailable = true, true
	known := strings.ToLower(question.Name.String()) == z.name
	if !known {
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, header)
	if err := errors.Join(b.StartQuestions(), b.Question(question), b.StartAnswers()); err != nil {
		return nil, err
	}
	if known && question.Type == dnsmessage.TypeA {
		z.mu.Lock()
		address := z.addresses[min(z.lookups, len(z.addresses)-1)]
		z.lookups++
		z.mu.Unlock()
		resource := dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class}
		if err := b.AResource(resource, dnsmessage.AResource{A: address.As4()}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
