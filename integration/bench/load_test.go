// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAnswers protects against a load that counts wrongly: each kind of answer
// is read to its end, so that the next one on the connection is found.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		answer        string
		status        int
		missed, again bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Cache: hit\r\n\r\nok", 200, false, true},
		{"HTTP/1.1 200 OK\r\nX-Cache: miss\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, true, true},
		{"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 503, false, false},
	} {
		in := bufio.NewReader(strings.NewReader(c.answer + "next"))
		status, missed, again, err := readAnswer(in)
		if status != c.status || missed != c.missed || again != c.again || err != nil {
			t.Errorf("%q: %d %t %t %v", c.answer, status, missed, again, err)
		}
		if rest, _ := in.Peek(4); string(rest) != "next" {
			t.Errorf("%q: then comes %q", c.answer, rest)
		}
	}
	for _, bad := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "HTTP/1.0 200 OK\r\n\r\n"} {
		if _, _, _, err := readAnswer(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q passed for an answer", bad)
		}
	}
}

// TestEach protects the scenarios' counts: each user asks once, and an answer
// that is no 200, or none, is a failure.
func TestEach(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.Header.Get(sessionHeader)
		mu.Lock()
		asked[user]++
		mu.Unlock()
		switch user {
		case "refused":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "dropped":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	l := newLoad(server.Listener.Addr().String(), append(userIDs(100), "refused", "dropped"))
	defer l.close()
	samples := l.each(t.Context())
	if len(samples) != 102 || count(samples, (*sample).failed) != 2 || len(asked) != 102 {
		t.Errorf("%d samples, %s failed, %d users", len(samples), failures(samples), len(asked))
	}
	if got := failures(samples); got != "2 of 102, no answer: 1, status 503: 1" {
		t.Errorf("failures: %s", got)
	}
}

// TestLateRequestsCount protects against coordinated omission: while the
// server stands still, the requests that were due meanwhile count from then.
func TestLateRequestsCount(t *testing.T) {
	const stop = 300 * time.Millisecond
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { time.Sleep(stop) })
	}))
	defer server.Close()
	l := newLoad(server.Listener.Addr().String(), userIDs(1))
	l.clients = l.clients[:1]
	defer l.close()
	samples := l.steady(context.Background(), 100, stop)
	slow := count(samples, func(s *sample) bool { return s.took > stop/2 })
	if len(samples) < 25 || slow < len(samples)/3 {
		t.Errorf("of %d requests, due every 10 ms, %d look slow", len(samples), slow)
	}
}
