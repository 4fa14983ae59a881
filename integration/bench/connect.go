// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// The paths of a Connect platform's exchange, and of the consents before it.
const (
	exchangePath = "/v1/connect/tokens"
	consentsPath = "/consents"
)

// connectBaseName is what calls to a Connect platform are compared with: the same
// program before MyDataHelps.
const connectBaseName = "`delegate_proxy`, MyDataHelps, 1 000 participants"

// connectContenders are the two kinds of credentials: tokens that are minted, and
// grants that people have consented to.
func connectContenders() []*contender {
	return []*contender{
		{name: connectBaseName, users: 1000, start: startConnectBase},
		{name: "`delegate_proxy`, Connect platform, 1 000 people", users: 1000, ours: true, start: startConnect},
	}
}

// startConnectBase starts this module before MyDataHelps, with a route policy as a
// Connect platform has to have one.
func startConnectBase(ctx context.Context, b *bench, up *upstreams) (*server, error) {
	return b.caddy(ctx, "delegate", delegated{
		platform: up.platform, key: up.key, by: byID, proxy: " {\n\t\t\tallow GET " + route + " Participant:read\n\t\t}",
	}.caddyfile())
}

// startConnect starts this module before a Connect platform, and connects
// everybody.
func startConnect(ctx context.Context, b *bench, up *upstreams) (*server, error) {
	dir, err := os.MkdirTemp(b.dir, "grants-")
	if err != nil {
		return nil, err
	}
	s, err := b.caddy(ctx, "connect", caddyfile{
		options: fmt.Sprintf(`
	delegate {
		provider health connect {
			client_id     bench
			client_secret bench-secret
			exchange_url  %[1]s`+exchangePath+`
			api_url       %[1]s
			widget_url    %[1]s/connect.js
		}
		grants sqlite %[2]s
	}`, up.platform, filepath.Join(dir, "grants.db")),
		site:    "\t\tdelegate_proxy health {\n\t\t\tallow GET " + route + "\n\t\t}",
		consent: "\t\tdelegate_connect health {\n\t\t\turl  http://127.0.0.1" + consentsPath + "\n\t\t\tthen /\n\t\t}",
	})
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	failed := make(chan error, connections)
	users := make(chan string)
	for range connections {
		all.Go(func() {
			for user := range users {
				if err := s.connect(ctx, user); err != nil {
					failed <- fmt.Errorf("connecting %s: %w", user, err)
					return
				}
			}
		})
	}
	for _, user := range userIDs(1000) {
		select {
		case users <- user:
			continue
		case err = <-failed:
		}
		break
	}
	close(users)
	all.Wait()
	select {
	case err = <-failed:
	default:
	}
	return s, err
}

// connect has a person consent, as a native app does it.
func (s *server) connect(ctx context.Context, user string) error {
	var begun struct {
		ClientUserID string `json:"clientUserId"`
		RedeemURL    string `json:"redeem_url"`
	}
	if err := s.post(ctx, "/start", user, map[string]string{"client": "native"}, http.StatusOK, &begun); err != nil {
		return err
	}
	return s.post(ctx, "/redeem/"+path.Base(begun.RedeemURL), "", map[string]string{"specialToken": begun.ClientUserID}, http.StatusCreated, nil)
}

// post sends something to the consents of a person; without a name, of nobody.
func (s *server) post(ctx context.Context, to, user string, body map[string]string, want int, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+consentsPath+to, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.Header.Set(sessionHeader, user)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != want {
		return fmt.Errorf("%s: status %d %s %w", to, res.StatusCode, answer, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// exchangeToken plays the exchange of a platform whose one-time token is the name of
// the user who has consented.
func exchangeToken(w http.ResponseWriter, r *http.Request) {
	var handed struct {
		ClientID     string `json:"clientId"`
		SpecialToken string `json:"specialToken"`
	}
	if err := json.NewDecoder(r.Body).Decode(&handed); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"UserCode": "account-" + handed.SpecialToken, "clientUserId": handed.SpecialToken, "clientId": handed.ClientID,
		"accessToken": rand.Text() + rand.Text()[:tokenLength-26], "publicToken": rand.Text(),
	})
}
