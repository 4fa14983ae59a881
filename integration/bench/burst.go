// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// streams is how many requests of a burst share a connection. Go's server
// takes 250 at once. Over HTTP/1.1 ten thousand requests would need as many
// connections, and the proxy twice as many files.
const streams = 200

// burst sends one request for each of the users, all at the same moment, over
// HTTP/2. meanwhile runs when all are on their way.
func burst(ctx context.Context, addr string, users []string, meanwhile func() error) ([]sample, error) {
	clients := make([]*http.Client, (len(users)+streams-1)/streams)
	for i := range clients {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: &protocols}
		defer transport.CloseIdleConnections()
		clients[i] = &http.Client{Transport: transport, Timeout: answerTimeout}
		if _, err := send(ctx, clients[i], addr+prefix+inFlightPath, "nobody"); err != nil { // connects
			return nil, err
		}
	}
	samples := make([]sample, len(users))
	start := make(chan time.Time)
	var ready, done sync.WaitGroup
	for i, user := range users {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			begun := time.Now()
			res, err := send(ctx, clients[i/streams], addr+prefix+route, user)
			samples[i] = sample{user: i, took: time.Since(begun)}
			if err == nil {
				samples[i].status, samples[i].missed = res.StatusCode, res.Header.Get("X-Cache") == "miss"
			}
		})
	}
	ready.Wait()
	close(start)
	err := meanwhile()
	done.Wait()
	return samples, err
}

func send(ctx context.Context, c *http.Client, url, user string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(sessionHeader, user)
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res, err
}
