// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"crypto/rand"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const appAddress = "org.example.app:/connected"

// ticketFlow is a flow that has begun with a ticket, and what its browser knows.
type ticketFlow struct{ ticket, state string }

// ticket begins a flow of somebody's for an app.
func (d *desk) ticket(name string) ticketFlow {
	d.t.Helper()
	started, err := d.Start(d.t.Context(), StartRequest{
		Person: person(name), ReturnURL: "https://app.test/return", Ticket: true, User: name + "@app.test", Then: appAddress,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if started.Page.URL != "" || started.BrowserToken.Reveal() != "" || time.Until(started.Expires) > 10*time.Minute {
		d.t.Errorf("the app is told %+v", started)
	}
	return ticketFlow{started.Ticket.Reveal(), d.lastStart().State.Reveal()}
}

// opens has a browser open a ticket.
func (d *desk) opens(f ticketFlow, browser string) delegation.Code {
	_, err := d.OpenTicket(d.t.Context(), f.ticket, browser)
	return code(err)
}

// handle has the browser of a flow come back, and returns the app's handle.
func (d *desk) handle(f ticketFlow, browser string, query url.Values) (string, delegation.Code) {
	handle, err := d.HandleAppReturn(d.t.Context(), ReturnRequest{Person: person("who is signed in there"), State: f.state, BrowserToken: browser, Query: query})
	return handle.Reveal(), code(err)
}

// TestT69_BrowserTicket protects the person whose app was given a ticket: the first browser
// that opens it has the flow, before and after which it opens nothing in another one,
// and nothing counts before the app's user has brought the handle. The control is the
// flow's own way, in between.
func TestT69_BrowserTicket(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		f, own, other := d.ticket("alice"), rand.Text(), rand.Text()
		early := ReturnRequest{Person: person("alice"), State: f.state, AnyBrowser: true, Query: withCode("1-a")}
		if _, err := d.HandleReturn(t.Context(), early); code(err) != delegation.ConsentRequired || d.redeemed.Load() != 0 {
			t.Errorf("a browser comes back that has opened nothing: %v", err)
		}
		for range 2 { // the person comes back from the platform's page, and goes there again
			opened, err := d.OpenTicket(t.Context(), f.ticket, own)
			if err != nil || opened.Person != person("alice") || opened.User != "alice@app.test" || opened.Page != "https://platform.test/consent" ||
				opened.State.Reveal() != f.state || !opened.ForApp {
				t.Fatalf("%+v %v", opened, err)
			}
			if got := d.opens(f, other); got != delegation.FlowExpired {
				t.Errorf("another browser opens it: %q", got)
			}
		}
		if then := d.AppOfFlow(t.Context(), ReturnRequest{State: f.state, BrowserToken: other}); then != "" {
			t.Errorf("another browser learns of %s", then)
		}
		if handle, got := d.handle(f, other, withCode("1-a")); got != delegation.ConsentRequired || handle != "" || d.redeemed.Load() != 0 {
			t.Errorf("another browser comes back: %q %q", handle, got)
		}
		if then := d.AppOfFlow(t.Context(), ReturnRequest{State: f.state, BrowserToken: own}); then != appAddress {
			t.Errorf("the app is %q", then)
		}
		handle, got := d.handle(f, own, withCode("1-a"))
		if got != "" || handle == "" || d.redeemed.Load() != 1 || d.account("alice") != "" {
			t.Fatalf("the flow's browser: %q %q", handle, got)
		}
		for name, browser := range map[string]string{"again": own, "in another browser": other} {
			if got := d.opens(f, browser); got != delegation.FlowExpired {
				t.Errorf("the ticket is opened %s: %q", name, got)
			}
		}
		again, got := d.handle(f, own, withCode("1-a")) // the page is loaded again
		if got != "" || again == handle || d.redeemed.Load() != 1 {
			t.Errorf("again: %q %q", again, got)
		}
		for name, try := range map[string]struct {
			who, handle string
			want        delegation.Code
		}{
			"a handle of before":  {"alice", handle, delegation.FlowExpired},
			"the ticket":          {"alice", f.ticket, delegation.FlowExpired},
			"the state":           {"alice", f.state, delegation.FlowExpired},
			"another's session":   {"bob", again, delegation.ConsentRequired},
			"nobody's session":    {"", again, delegation.ConsentRequired},
			"a handle of nothing": {"alice", rand.Text(), delegation.FlowExpired},
		} {
			who := delegation.Person{}
			if try.who != "" {
				who = person(try.who)
			}
			if first, err := d.Finish(t.Context(), who, try.handle); first || code(err) != try.want || d.account("alice") != "" || d.account("bob") != "" {
				t.Errorf("%s: %t %v", name, first, err)
			}
		}
		if first, err := d.Finish(t.Context(), person("alice"), again); !first || err != nil || d.account("alice") != "1" {
			t.Errorf("the handle: %t %v, alice is %q", first, err, d.account("alice"))
		}
		if first, err := d.Finish(t.Context(), person("alice"), again); first || code(err) != delegation.FlowExpired {
			t.Errorf("the handle again: %t %v", first, err)
		}
		if _, got := d.handle(f, own, withCode("1-a")); got != delegation.FlowExpired {
			t.Errorf("the flow has ended: %q", got)
		}
	})
}

// TestT69_BrowserTicketLate protects people from tickets and handles that somebody finds later: a
// ticket opens nothing after its time, one that was opened gives the flow an hour, and
// a handle ends nothing an hour after it was given out.
func TestT69_BrowserTicketLate(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		ended := func(name string, by time.Duration) {
			alter(t, d.store, "UPDATE journeys SET expires = expires - $1 WHERE person = $2", by.Milliseconds(), d.store.ownerPseudonym(d.owner(person(name))))
		}
		late, own := d.ticket("late"), rand.Text()
		ended("late", 11*time.Minute)
		if got := d.opens(late, own); got != delegation.FlowExpired {
			t.Errorf("a ticket is opened too late: %q", got)
		}
		f := d.ticket("alice")
		ended("alice", 9*time.Minute) // the control
		if got := d.opens(f, own); got != "" {
			t.Fatalf("a ticket is opened in time: %q", got)
		}
		ended("alice", 50*time.Minute)
		first, got := d.handle(f, own, withCode("1-a"))
		ended("alice", 50*time.Minute)
		handle, again := d.handle(f, own, withCode("1-a"))
		if got != "" || again != "" || first == "" {
			t.Fatalf("%q %q", got, again)
		}
		ended("alice", 11*time.Minute)
		if first, err := d.Finish(t.Context(), person("alice"), handle); first || code(err) != delegation.FlowExpired || d.account("alice") != "" {
			t.Errorf("a handle comes too late: %t %v", first, err)
		}
		if _, got := d.handle(f, own, withCode("1-a")); got == "" {
			t.Error("another handle is given out, too late")
		}
	})
}

// TestT69_BrowserTicketAtOnce protects people from a ticket and a handle that come to several
// machines at the same moment: one browser has the flow, and one call ends it.
func TestT69_BrowserTicketAtOnce(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		second, _ := d.machine(at, "redirect")
		machines := []*Consents{d.Consents, second}
		atOnce := func(n int, do func(c *Consents, i int) bool) (won []int) {
			var mu sync.Mutex
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range n {
				all.Go(func() {
					<-start
					if do(machines[i%2], i) {
						mu.Lock()
						won = append(won, i)
						mu.Unlock()
					}
				})
			}
			close(start)
			all.Wait()
			return won
		}
		f := d.ticket("alice")
		var browsers []string
		for range 8 {
			browsers = append(browsers, rand.Text())
		}
		won := atOnce(len(browsers), func(c *Consents, i int) bool {
			_, err := c.OpenTicket(t.Context(), f.ticket, browsers[i])
			return err == nil
		})
		if len(won) != 1 {
			t.Fatalf("%d browsers have the flow", len(won))
		}
		handle, got := d.handle(f, browsers[won[0]], withCode("1-a"))
		if got != "" {
			t.Fatal(got)
		}
		ended := atOnce(8, func(c *Consents, _ int) bool {
			first, err := c.Finish(t.Context(), person("alice"), handle)
			return first && err == nil
		})
		if len(ended) != 1 || d.account("alice") != "1" {
			t.Errorf("%d calls have ended the flow; alice is %q", len(ended), d.account("alice"))
		}
	})
}

// TestTicketDenied protects who has changed their mind at the platform: the app is told
// so, has no handle, and a ticket of one's own browser ends in it as well.
func TestTicketDenied(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		f, own := d.ticket("alice"), rand.Text()
		if got := d.opens(f, own); got != "" {
			t.Fatal(got)
		}
		for range 2 {
			if handle, got := d.handle(f, own, url.Values{"error": {"access_denied"}}); got != delegation.ConsentDenied || handle != "" {
				t.Errorf("%q %q", handle, got)
			}
		}
		letter, err := d.Start(t.Context(), StartRequest{Person: person("bob"), ReturnURL: "https://app.test/return", Ticket: true, Lifetime: 20 * time.Hour})
		if err != nil || time.Until(letter.Expires) < 19*time.Hour {
			t.Fatalf("%+v %v", letter, err)
		}
		state := d.lastStart().State.Reveal()
		opened, err := d.OpenTicket(t.Context(), letter.Ticket.Reveal(), own)
		if err != nil || opened.ForApp {
			t.Fatalf("%+v %v", opened, err)
		}
		r := ReturnRequest{Person: person("bob"), State: state, BrowserToken: own, Query: withCode("2-b")}
		if then := d.AppOfFlow(t.Context(), r); then != "" {
			t.Errorf("a letter is for the app %s", then)
		}
		if first, err := d.HandleReturn(t.Context(), r); !first || err != nil || d.account("bob") != "2" {
			t.Errorf("bob ends it: %t %v", first, err)
		}
	})
}
