// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// providerName is the provider's in the Caddyfile.
const providerName = "mydatahelps"

// counters are what the running Caddy says about itself.
type counters struct {
	Requests   int `json:"requests"`
	Refused    int `json:"refused"`    // of them, with whatever code
	First      int `json:"first"`      // tokens, for who had none
	Ahead      int `json:"ahead"`      // tokens, in the background, before the old one ended
	Replaced   int `json:"replaced"`   // tokens, for one that met a 401
	Failed     int `json:"failed"`     // mints
	Remembered int `json:"remembered"` // refused without asking anybody

	Entries int            `json:"entries"` // tokens at hand
	Waiting int            `json:"waiting"` // requests, now
	Issuer  circuit.Status `json:"issuer"`
}

// admin speaks to the running Caddy's admin endpoint, as an operator would.
type admin struct{ client *http.Client }

func newAdmin(dir string) *admin {
	socket := filepath.Join(dir, "admin.sock")
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &admin{&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

func (a *admin) close() { a.client.CloseIdleConnections() }

func (a *admin) send(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Caddy's admin endpoint for %s: %w", path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s of Caddy's admin endpoint: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("caddy's admin endpoint answered %s with %d", path, res.StatusCode)
	}
	return text, nil
}

// drop has Caddy forget every token and every participant.
func (a *admin) drop(ctx context.Context) error {
	_, err := a.send(ctx, http.MethodPost, "/delegate/purge", "{}")
	return err
}

func (a *admin) counters(ctx context.Context) (counters, error) {
	text, err := a.send(ctx, http.MethodGet, "/metrics", "")
	if err != nil {
		return counters{}, err
	}
	c := readMetrics(text)
	if text, err = a.send(ctx, http.MethodGet, "/delegate/status", ""); err != nil {
		return counters{}, err
	}
	var status struct {
		Providers map[string]tokens.Status `json:"providers"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return counters{}, fmt.Errorf("reading the providers' state: %w", err)
	}
	now, ok := status.Providers[providerName]
	if !ok {
		return counters{}, fmt.Errorf("reading the providers' state: caddy has no provider %s", providerName)
	}
	c.Entries, c.Waiting, c.Issuer = now.Entries, now.Waiting, now.Issuer
	return c, nil
}

var (
	series = regexp.MustCompile(`^caddy_delegate_(\w+)\{(.*)\} (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// readMetrics adds up the module's series in Prometheus' text format.
func readMetrics(text []byte) counters {
	var c counters
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		m := series.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		labels := make(map[string]string)
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil || labels["provider"] != providerName {
			continue
		}
		c.add(m[1], labels, int(value))
	}
	return c
}

func (c *counters) add(name string, labels map[string]string, n int) {
	switch name {
	case "requests_total":
		c.Requests += n
		switch labels["outcome"] {
		case "forwarded", "answered", "client_left":
		default:
			c.Refused += n
		}
	case "tokens_total":
		if labels["result"] == string(tokens.RequestRemembered) {
			c.Remembered += n
		}
	case "mints_total":
		if labels["outcome"] != "ok" {
			c.Failed += n
			return
		}
		switch tokens.MintReason(labels["reason"]) {
		case tokens.MintFirst:
			c.First += n
		case tokens.MintAhead:
			c.Ahead += n
		case tokens.MintStale:
			c.Replaced += n
		}
	}
}
