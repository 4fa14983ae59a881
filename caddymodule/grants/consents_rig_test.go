// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// platform is a provider with every hook, whose platform does as it is told. A
// callback's form has link, account and secret; what is redeemed is a code, whose
// account stands before the hyphen: 7-x is of account 7.
type platform struct {
	widget bool // the person consents in the app's page, not in the platform's

	mu     sync.Mutex
	starts []*delegation.ConsentStart // as they came
	answer func(*delegation.Redemption) error
	tokens delegation.GrantTokens // that redeeming leads to

	redeemed, probes, events atomic.Int64
	verdict                  atomic.Int64 // of probes
	during                   func()       // while the platform is asked
	left                     atomic.Int64 // of the time of an exchange when it began, in nanoseconds
}

func (p *platform) StartConsent(_ context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts = append(p.starts, flow)
	if p.widget {
		return &delegation.ConsentPage{Widget: map[string]string{"user": flow.Subject}, Secret: delegation.NewSecret("of " + flow.Subject)}, nil
	}
	return &delegation.ConsentPage{URL: "https://platform.test/consent", Secret: delegation.NewSecret("of " + flow.Subject)}, nil
}

func (*platform) ReadCallback(_ context.Context, r *http.Request) (*delegation.Callback, error) {
	if err := r.ParseForm(); err != nil {
		return nil, errors.New("no form")
	}
	if r.Header.Get("Authentication") != "platform" {
		return nil, delegation.ErrForged
	}
	return &delegation.Callback{
		Kind: delegation.CallbackConsent, CorrelationID: r.Form.Get("link"),
		Result: delegation.ConsentResult{Account: r.Form.Get("account"), Secret: delegation.NewSecret(r.Form.Get("secret"))},
	}, nil
}

var errOtherIssuer = errors.New("another issuer")

func (*platform) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	if handed.Has("iss") && handed.Get("iss") != "https://platform.test" {
		return delegation.Secret{}, delegation.Refuse(delegation.ConsentDenied, errOtherIssuer)
	}
	if len(handed["code"]) != 1 || handed.Get("code") == "" {
		return delegation.Secret{}, delegation.Refuse(delegation.TokenRejected, errors.New("there is no code"))
	}
	return delegation.NewSecret(handed.Get("code")), nil
}

func (p *platform) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	p.redeemed.Add(1)
	if end, ok := ctx.Deadline(); ok {
		p.left.Store(int64(time.Until(end)))
	}
	if p.during != nil {
		p.during()
	}
	if p.answer != nil {
		if err := p.answer(r); err != nil {
			return nil, err
		}
	}
	account, _, _ := strings.Cut(r.Token.Reveal(), "-")
	return &delegation.ConsentResult{Account: account, Secret: delegation.NewSecret("key-" + account), Tokens: p.tokens, Reply: map[string]string{"public": account}}, nil
}

func (*platform) DecodeGrant(g *delegation.Grant) (any, error) {
	if g.Secret.Reveal() == "damaged" {
		return nil, errors.New("it cannot be decoded")
	}
	return "decoded " + g.Secret.Reveal(), nil
}

func (p *platform) ProbeGrant(context.Context, *delegation.Grant) delegation.ProbeResult {
	p.probes.Add(1)
	if p.during != nil {
		p.during()
	}
	return delegation.ProbeResult(p.verdict.Load())
}

// desk is a machine with consents in a database.
type desk struct {
	*Consents
	*platform
	t     *testing.T
	store *Store
}

// newDesk opens consents with a platform, whose hooks but the named kind's are
// hidden: callback, redirect or page.
func newDesk(t *testing.T, at Options, kind string) *desk {
	t.Helper()
	d := &desk{platform: &platform{widget: kind == "page"}, t: t}
	d.Consents, d.store = d.machine(at, kind)
	return d
}

// machine opens the same consents with another memory, as another machine has it.
func (d *desk) machine(at Options, kind string) (*Consents, *Store) {
	d.t.Helper()
	lazy := NewLazyStore(at.File, func() (Options, error) { return at, nil })
	d.t.Cleanup(func() { _ = lazy.Close() })
	store, err := lazy.Store(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	o := ConsentsOptions{
		Provider: "mydex", Store: lazy, Cache: NewCache(), Starter: d.platform, Decoder: d.platform, Prober: d.platform,
		Note: func(delegation.ConsentEvent, delegation.Person) { d.events.Add(1) },
	}
	if kind == "callback" {
		o.Callbacks = d.platform
	} else {
		o.Redeemer = d.platform
	}
	return NewConsents(o), store
}

func person(name string) delegation.Person { return owner(name).Person }

// begun begins a flow of somebody's.
func (d *desk) begun(name string) *Started {
	d.t.Helper()
	started, err := d.Start(d.t.Context(), StartRequest{Person: person(name), ReturnURL: "https://app.test/return"})
	if err != nil {
		d.t.Fatal(err)
	}
	return started
}

// lastStart is the flow that the platform was told of last.
func (d *desk) lastStart() *delegation.ConsentStart {
	d.platform.mu.Lock()
	defer d.platform.mu.Unlock()
	return d.starts[len(d.starts)-1]
}

// callback has the platform's server call.
func (d *desk) callback(correlationID, account, secret string) error {
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, "https://app.test/callback",
		strings.NewReader(url.Values{"link": {correlationID}, "account": {account}, "secret": {secret}}.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authentication", "platform")
	_, err = d.HandleCallback(d.t.Context(), r)
	return err
}

// returns has the browser of a flow come back.
func (d *desk) returns(name string, started *Started, query url.Values) (first bool, err error) {
	return d.HandleReturn(d.t.Context(), ReturnRequest{
		Person: person(name), State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: query,
	})
}

// account is the account that somebody acts as; "" if they have consented to
// nothing.
func (d *desk) account(name string) string {
	d.t.Helper()
	return accountOf(d.t, d.Consents, name)
}

func accountOf(t *testing.T, c *Consents, name string) string {
	t.Helper()
	g, err := c.Get(t.Context(), person(name))
	if err != nil {
		if delegation.AsRefusal(err).Code != delegation.ConsentRequired {
			t.Error(err)
		}
		return ""
	}
	if g.Person != person(name) || g.Decoded != "decoded "+g.Secret.Reveal() {
		t.Errorf("%+v is not %s's", g, name)
	}
	return g.Account
}

// code is the code of a refusal; "" without an error.
func code(err error) delegation.Code {
	if err == nil {
		return ""
	}
	return delegation.AsRefusal(err).Code
}
