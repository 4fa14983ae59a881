// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

const (
	tokenPath = "/identityserver/connect/token"
	tokenArea = "token"

	// A token takes its time, as over a real network: nothing would ever be seen
	// waiting otherwise.
	usualDelay = 100 // milliseconds

	// What an issuer does that has lost its database: not at once, and badly.
	outageDelay  = 500 // milliseconds
	outageStatus = http.StatusServiceUnavailable

	shortLifetime = 30 // seconds
	maxTokenForm  = 64 << 10
)

// issuer is the platform's token endpoint, with what only the platform knows.
type issuer struct {
	platform *simulator.MyDataHelps
	usual    simulator.Settings

	mu    sync.Mutex
	now   int       // calls that are there
	most  int       // at once, since the start
	since int       // at once, since mark
	ends  time.Time // of Carol's latest token
}

// newIssuer gives the platform quotas that nobody using a demo can spend. None
// at all would not do: where the platform names no quota Caddy goes by 1000
// lookups an hour.
func newIssuer(platform *simulator.MyDataHelps) *issuer {
	platform.Set(func(s *simulator.Settings) { s.AdminQuota, s.DelegatedQuota = 1_000_000, 1_000_000 })
	i := &issuer{platform: platform, usual: platform.Settings()}
	i.setDown(false)
	return i
}

// serve hands requests on to the platform and counts those for tokens.
func (i *issuer) serve(w http.ResponseWriter, r *http.Request, platform http.Handler) {
	if r.URL.Path != tokenPath {
		platform.ServeHTTP(w, r)
		return
	}
	i.requestBegins()
	defer i.requestEnds()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenForm))
	if err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	platform.ServeHTTP(answer, r)
	i.recordLifetime(body, answer)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (i *issuer) requestBegins() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now++
	i.most, i.since = max(i.most, i.now), max(i.since, i.now)
}

func (i *issuer) requestEnds() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now--
}

// recordLifetime remembers when Carol's token ends.
func (i *issuer) recordLifetime(body []byte, answer *httptest.ResponseRecorder) {
	form, err := url.ParseQuery(string(body))
	if err != nil || !strings.EqualFold(form.Get("participant_id"), carol.ID) || answer.Code != http.StatusOK {
		return
	}
	var token struct {
		Seconds int `json:"expires_in"`
	}
	if json.Unmarshal(answer.Body.Bytes(), &token) != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ends = time.Now().Add(time.Duration(token.Seconds) * time.Second)
}

// forgetLifetime: Caddy has forgotten the tokens, Carol's too.
func (i *issuer) forgetLifetime() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ends = time.Time{}
}

// resetPeak begins a new count of calls at once.
func (i *issuer) resetPeak() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.since = i.now
}

func (i *issuer) peak() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.since
}

// issuerState is what the platform itself says about its token endpoint.
type issuerState struct {
	Down      bool      `json:"down"`
	Short     bool      `json:"short"` // tokens live 30 seconds
	Calls     int       `json:"calls"`
	Now       int       `json:"now"`
	Most      int       `json:"most"` // at once
	CarolEnds time.Time `json:"carolEnds,omitzero"`
}

func (i *issuer) state() issuerState {
	set, calls := i.platform.Settings(), i.calls()
	i.mu.Lock()
	defer i.mu.Unlock()
	return issuerState{
		Down: set.Outages[tokenArea].Status != 0, Short: set.ParticipantTokenLifetime == shortLifetime,
		Calls: calls, Now: i.now, Most: i.most, CarolEnds: i.ends,
	}
}

func (i *issuer) calls() int { return i.platform.Counts().TokenRequests }

func (i *issuer) setDown(down bool) {
	o := simulator.Outage{Delay: usualDelay}
	if down {
		o = simulator.Outage{Delay: outageDelay, Status: outageStatus}
	}
	i.platform.Set(func(s *simulator.Settings) { s.Outages = map[string]simulator.Outage{tokenArea: o} })
}

func (i *issuer) setShort(short bool) {
	i.platform.Set(func(s *simulator.Settings) {
		s.ServiceTokenLifetime, s.ParticipantTokenLifetime = i.usual.ServiceTokenLifetime, i.usual.ParticipantTokenLifetime
		if short {
			s.ServiceTokenLifetime, s.ParticipantTokenLifetime = shortLifetime, shortLifetime
		}
	})
}
