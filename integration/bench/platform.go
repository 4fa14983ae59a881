// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// watchedPath tells what was seen at the token endpoint.
const watchedPath = "/_bench/watched"

// watched is what was seen at the token endpoint since it was last asked.
type watched struct {
	Calls  int `json:"calls"`
	Peak   int `json:"peak"`   // calls at once
	People int `json:"people"` // for whom a token was asked
	Most   int `json:"most"`   // calls for one of them
}

// playPlatform is a simulated MyDataHelps and somebody who watches it.
func playPlatform(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("the key is no PEM")
	}
	key, err := x509.ParsePKCS1PublicKey(block.Bytes)
	if err != nil {
		return err
	}
	people, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return serve(&watcher{platform: simulator.NewMyDataHelps(simulator.Options{
		Account: stack.Account, ProjectID: stack.Project, Keys: []*rsa.PublicKey{key},
		Participants: simulator.SampleParticipants(people),
	})})
}

type watcher struct {
	platform http.Handler

	mu     sync.Mutex
	inside int
	seen   watched
	people map[string]int
}

func (w *watcher) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case watchedPath:
		out.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(out).Encode(w.take())
	case tokenPath:
		body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil {
			out.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body)) // the platform judges it
		w.enter(form.Get("participant_id"))
		defer w.leave()
		w.platform.ServeHTTP(out, r)
	default:
		w.platform.ServeHTTP(out, r)
	}
}

func (w *watcher) enter(person string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside++
	w.seen.Calls++
	w.seen.Peak = max(w.seen.Peak, w.inside)
	if person == "" {
		return
	}
	if w.people == nil {
		w.people = make(map[string]int)
	}
	w.people[person]++
	w.seen.Most = max(w.seen.Most, w.people[person])
	w.seen.People = len(w.people)
}

func (w *watcher) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside--
}

// take returns what was seen and begins anew.
func (w *watcher) take() watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen, w.people = watched{Peak: w.inside}, nil
	return seen
}

// accountKey makes the service account's pair of keys, in two files.
func (b *bench) accountKey() (private, public string, err error) {
	private, public = filepath.Join(b.dir, "account.pem"), filepath.Join(b.dir, "account-public.pem")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	for _, file := range []struct {
		name, kind string
		der        []byte
	}{
		{private, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)},
		{public, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)},
	} {
		if err := os.WriteFile(file.name, pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.der}), 0o600); err != nil {
			return "", "", fmt.Errorf("writing the service account's key: %w", err)
		}
	}
	return private, public, nil
}
