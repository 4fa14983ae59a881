// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Delivery is one callback or notification that was sent, and what came of it.
type Delivery struct {
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
	// Kind is connect, update, identify or notification.
	Kind   string      `json:"kind"`
	UID    string      `json:"uid"`
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	// Status is what the callback URL answered; 0 if it did not, for the
	// reason in Error.
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
}

// outbox keeps what was sent and what is held back.
type outbox struct {
	mu   sync.Mutex
	last int64
	sent []Delivery
	held []pendingCallback
}

func (o *outbox) hold(p pendingCallback) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = append(o.held, p)
}

func (o *outbox) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.held = nil, nil
}

// Deliveries returns what was sent, oldest first.
func (m *Mydex) Deliveries() []Delivery {
	m.outbox.mu.Lock()
	defer m.outbox.mu.Unlock()
	return append([]Delivery{}, m.outbox.sent...)
}

// Held returns how many callbacks are held back.
func (m *Mydex) Held() int {
	m.outbox.mu.Lock()
	defer m.outbox.mu.Unlock()
	return len(m.outbox.held)
}

// Deliver sends what is held back, one after the other, in the order in which
// members agreed or in the opposite one, and returns what came of it.
func (m *Mydex) Deliver() []Delivery {
	m.outbox.mu.Lock()
	held := m.outbox.held
	m.outbox.held = nil
	m.outbox.mu.Unlock()
	if m.settings.Load().Settings.DeliverReversed {
		slices.Reverse(held)
	}
	sent := []Delivery{}
	for _, p := range held {
		sent = append(sent, m.deliver(context.Background(), p)...)
	}
	return sent
}

// deliver sends all copies of a callback to where callbacks go now. A failure is
// not tried again: whether the platform would is not documented.
func (m *Mydex) deliver(ctx context.Context, p pendingCallback) []Delivery {
	sent := make([]Delivery, 0, p.copies)
	for range p.copies {
		d := Delivery{
			Time: m.clock(), Kind: p.kind, UID: p.uid, Method: p.method, URL: *m.callbackURL.Load(), Header: p.header.Clone(), Body: p.body,
		}
		if status, err := m.post(ctx, d); err != nil {
			d.Error = err.Error()
		} else {
			d.Status = status
		}
		m.outbox.keep(&d)
		m.records.Update(func(n *Counts) { n.Deliveries++ })
		sent = append(sent, d)
	}
	return sent
}

func (o *outbox) keep(d *Delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	d.Sequence = o.last
	o.sent = append(o.sent, *d)
	if len(o.sent) > control.MaxRecords {
		o.sent = slices.Clone(o.sent[1:])
	}
}

func (m *Mydex) post(ctx context.Context, d Delivery) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, d.Method, d.URL, strings.NewReader(d.Body))
	if err != nil {
		return 0, err
	}
	req.Header = d.Header.Clone()
	res, err := m.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
	return res.StatusCode, nil
}
