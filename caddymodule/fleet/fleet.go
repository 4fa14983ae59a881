// SPDX-License-Identifier: Apache-2.0

// Package fleet lets the token engines of several machines share their tokens
// through Redis: each token is minted once for all of them, and a purge or a logout
// on one reaches the others. Redis is never a reason for a request to fail: while
// it cannot be used, each machine works for itself.
//
// Redis holds nothing in clear. Tokens and purges are sealed, and its keys are
// pseudonyms, "delegate:{<pseudonym>}:<kind>":
//
//	token        a token until it expires, sealed
//	lease        who mints it now
//	purged       the generation of the latest purge of one selection, for 31 days
//	revoked      whose sessions are revoked: a hash for each person, for as long
//	             as one of their sessions may live
//	purges       the stream of the latest 100 000 purges and revocations of a
//	             day, sealed
//	incarnation  changes when Redis loses its data
//	machines     which machines listen, by random names
//
// The stream is the fast path. What has to be known for long is in the keyed
// records: a machine reads them when it begins, and when it may have missed
// something. Beside each sealed value of "revoked" stand its moment and its end in
// clear, so that the later one wins whichever machine writes last; a TTL tells as
// much.
//
// An ACL user needs what [ACL] says; that all of it is allowed is tried when a
// machine connects. Redis should not evict purges before tokens: maxmemory-policy
// noeviction, which is its default, or volatile-ttl.
package fleet

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// Sealer seals what Redis keeps and makes its pseudonyms. [keyset.Keyset]
// implements it.
type Sealer interface {
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
	Name(parts ...string) string
	Names(parts ...string) []string
}

// Options are the settings of a fleet.
type Options struct {
	// URL is where Redis is, as go-redis' ParseURL reads it but with few of its
	// parameters. Required.
	//
	//	redis://<user>:<password>@<host>:<port>/<db>
	//	unix://<user>:<password>@<path>?db=<db>
	//	redis-cluster://<user>:<password>@<host>:<port>?addr=<host>:<port>
	//	redis://<host>:<port>/<db>?master_name=<name>&addr=<host>:<port>
	//
	// In a cluster addr names more of its nodes. With master_name the hosts are
	// Sentinels: user and password before the @ are theirs, the parameters username
	// and password the master's. With rediss and rediss-cluster all connections are
	// encrypted, and the certificates of all servers are for the first host. More
	// parameters are client_name, pool_size (default: 10 for each CPU) and
	// protocol.
	URL string
	// Sealer is the same on every machine. Required.
	Sealer Sealer
	// RootCAs are the authorities of the server's certificate. Default: the
	// system's.
	RootCAs *x509.CertPool
	// Timeout bounds one command, in two attempts, before Redis counts as down.
	// Default: 250 ms.
	Timeout time.Duration
	// Lease is how long a machine that dies in the middle of a mint keeps the
	// others from minting the same token. Default: 5 s.
	Lease time.Duration
}

// Fleet is this machine's connection to the others. It outlives configurations, and
// holds nothing of any one of them but the call of [Fleet.OnChange]. Safe for
// concurrent use.
type Fleet struct {
	sealer    Sealer
	timeout   time.Duration
	leaseTerm time.Duration // how long a lease lasts unless it is renewed
	client    redis.UniversalClient
	locks     *redislock.Client
	machine   string // a random name, which tells this machine's purges from the others'
	opened    time.Time

	ctx          context.Context // ends with Close
	cancel       context.CancelFunc
	start        sync.Once
	firstAttempt chan struct{}  // closed when it is known whether Redis is there
	work         sync.WaitGroup // guarded against a late Add by mu and closed

	commandSlots chan struct{} // each command at Redis takes one
	lastAnswer   atomic.Int64  // when Redis has last answered, in Unix nanoseconds

	health           health
	leaseWaiters     waiterQueue
	stream           stream
	revocationOutbox revocationOutbox

	clock
	lastPresence time.Time

	failures atomic.Int64

	mu          sync.Mutex
	closed      bool
	members     []*SharedTokens
	purgeOutbox purgeOutbox
}

// Open returns a fleet that is not connected yet. The error is about the options,
// and quotes none of them.
func Open(o Options) (*Fleet, error) {
	if o.Sealer == nil {
		return nil, errors.New("sharing tokens in redis takes a keyset to seal them: make one with `caddy delegate keyset generate <file>` and name it")
	}
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = 250 * time.Millisecond
	}
	if o.Lease <= 0 {
		o.Lease = 5 * time.Second
	}
	turns := u.PoolSize
	if turns <= 0 {
		turns = 10 * runtime.GOMAXPROCS(0)
	}
	tuneClient(u, o.Timeout, turns)
	if u.TLSConfig != nil {
		u.TLSConfig.RootCAs = o.RootCAs
	}
	// The client writes the address to stderr at each attempt. Changes are logged
	// by the caller of OnChange.
	logging.Disable()
	f := &Fleet{
		sealer:       o.Sealer,
		timeout:      o.Timeout,
		leaseTerm:    o.Lease,
		client:       redis.NewUniversalClient(u),
		machine:      rand.Text(),
		opened:       time.Now(),
		firstAttempt: make(chan struct{}),
		commandSlots: make(chan struct{}, turns),
		purgeOutbox:  newPurgeOutbox(),
		leaseWaiters: waiterQueue{waiting: make(map[*tokenEntry]chan error)},
	}
	f.locks = redislock.New(f.client)
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.stream = newStream(f.opened)
	f.revocationOutbox.targets = make(map[session.RevocationTarget]struct{})
	return f, nil
}

// Start connects and keeps watch. The first use does it as well.
func (f *Fleet) Start() {
	f.start.Do(func() {
		if !f.spawn(f.watch) {
			close(f.firstAttempt)
		}
	})
}

// spawn runs a goroutine that Close waits for. It returns false when the fleet is
// closed.
func (f *Fleet) spawn(run func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	background.GoIn(&f.work, "sharing tokens", run)
	return true
}

// Close ends all that the fleet does by itself, and waits for it. Members work
// alone from then on.
func (f *Fleet) Close() error {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	f.withdrawPresence()
	f.cancel()
	f.health.close()
	err := f.client.Close()
	f.work.Wait()
	return err
}

// Join makes a provider's engine part of the fleet. It shares tokens and purges
// with the engines that have joined with the same namespace on other machines. drop
// is called for their purges with the time of each, from any goroutine; for those
// of long ago as well, and for some more than once.
func (f *Fleet) Join(space string, drop func(delegation.Selection, time.Time)) *SharedTokens {
	m := &SharedTokens{fleet: f, namespace: space, drop: drop}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = append(f.members, m)
	return m
}

// dropOthers has the members of a namespace drop a selection, except for one of
// them, which may be nil.
func (f *Fleet) dropOthers(n streamRecord, except *SharedTokens) {
	for _, m := range f.currentMembers() {
		if m != except && m.namespace == n.Namespace {
			m.drop(n.Selection, n.At)
		}
	}
}

func (f *Fleet) currentMembers() []*SharedTokens {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.members)
}
