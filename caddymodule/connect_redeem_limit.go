// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/ratelimit"
)

// redeemLimiter limits how often one person has the platform asked to exchange what
// they hand over. A page that hands over the same once more, while that is being
// exchanged, has the platform asked for nothing, and neither has a flow that there
// is not: they are not counted.
type redeemLimiter struct {
	people *ratelimit.PerPerson

	mu      sync.Mutex
	running map[handedOver]int
	asked   map[handedOver]bool       // of running: the platform may have been asked
	pending map[delegation.Person]int // how many of running are a person's
}

// handedOver is a hash of who hands over what.
type handedOver [sha256.Size]byte

func newRedeemLimiter() *redeemLimiter {
	return &redeemLimiter{people: ratelimit.New(), running: make(map[handedOver]int), asked: make(map[handedOver]bool), pending: make(map[delegation.Person]int)}
}

// begin tells whether a person may hand something over now. If so, end is to be
// called at the end, with whether the platform may have been asked. The error is
// too_many_requests.
func (l *redeemLimiter) begin(who delegation.Person, handed url.Values) (end func(asked bool), err error) {
	key := handedOver(sha256.Sum256([]byte(url.Values{"realm": {who.Realm}, "subject": {who.Subject}, "handed": {handed.Encode()}}.Encode())))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[key] == 0 {
		if l.people.Left(who) <= l.pending[who] {
			return nil, tooOften()
		}
		l.pending[who]++
	}
	l.running[key]++
	return func(asked bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if asked {
			l.asked[key] = true
		}
		if l.running[key]--; l.running[key] > 0 {
			return
		}
		if l.asked[key] {
			l.people.Allow(who)
		}
		delete(l.running, key)
		delete(l.asked, key)
		if l.pending[who]--; l.pending[who] == 0 {
			delete(l.pending, who)
		}
	}, nil
}

// askedPlatform reports whether redeeming has come as far as the platform.
func askedPlatform(redeemed *grants.Redeemed, err error) bool {
	if err != nil {
		return delegation.AsRefusal(err).Code != delegation.FlowExpired
	}
	return redeemed.First
}

// ticketLimiter is a redeemLimiter for native apps, of which nobody knows whose
// they are. Each ticket has its own allowance, which nobody can use up who does not
// have it. Who guesses tickets is stopped by address, but not together with the
// apps that share theirs with others, as behind the one address of a carrier or a
// clinic: a ticket that this machine has given out is looked at in any case.
type ticketLimiter struct {
	tickets   *redeemLimiter
	issued    *lru.Cache[delegation.Person, struct{}]
	addresses *ratelimit.PerAddress
}

// maxIssuedTickets is how many tickets are remembered that were given out.
const maxIssuedTickets = 10_000

func newTicketLimiter() *ticketLimiter {
	return &ticketLimiter{newRedeemLimiter(), lru.New[delegation.Person, struct{}](maxIssuedTickets), ratelimit.NewPerAddress()}
}

// recordIssued remembers until its end a ticket that was given out.
func (l *ticketLimiter) recordIssued(ticket string, ends time.Time) {
	l.issued.Set(delegation.Person{Subject: ticket}, ticket, struct{}{}, time.Until(ends), false)
}

// begin is [redeemLimiter.begin] for a ticket.
func (l *ticketLimiter) begin(ticket string, handed url.Values) (end func(asked bool), err error) {
	return l.tickets.begin(delegation.Person{Subject: ticket}, handed)
}

// checkAddress refuses, with too_many_requests, a ticket that this machine has not
// given out, from an address that has come with too many that there are not.
func (l *ticketLimiter) checkAddress(r *http.Request, ticket string) error {
	if _, ok := l.issued.Peek(delegation.Person{Subject: ticket}, ticket); !ok && l.addresses.Spent(clientAddress(r)) {
		return tooOften()
	}
	return nil
}

// beginUnknown is [ticketLimiter.checkAddress] once the body is there: who sends many
// bodies to their end at the same moment has passed that before any has failed. end
// is to be called at the end.
func (l *ticketLimiter) beginUnknown(r *http.Request, ticket string) (end func(), err error) {
	if _, ok := l.issued.Peek(delegation.Person{Subject: ticket}, ticket); ok {
		return func() {}, nil
	}
	if end, ok := l.addresses.Begin(clientAddress(r)); ok {
		return end, nil
	}
	return nil, tooOften()
}

// recordUnknown counts a ticket that there is not.
func (l *ticketLimiter) recordUnknown(r *http.Request) { l.addresses.Record(clientAddress(r)) }

// clientAddress is the client's IP address, as Caddy's trusted_proxies have it.
func clientAddress(r *http.Request) string {
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return address
}

// tooOften refuses a person who does again and again what costs a call of the
// platform.
func tooOften() *delegation.Refusal {
	refusal := delegation.Refuse(delegation.TooManyRequests, nil).WithMessage("This was tried too often. Wait and try again.")
	refusal.RetryAfter = ratelimit.Interval
	return refusal
}
