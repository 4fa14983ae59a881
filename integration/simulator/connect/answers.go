// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// answer is a good answer, whose fields may be absent.
type answer map[string]any

// answerExchange answers with what a redeemed token has led to.
func (c *call) answerExchange(n connection) {
	switch c.settings.AfterRedeem {
	case "drop":
		control.Outage{Reset: true}.Apply(c.Context(), c.w, nil)
		return
	case "error":
		c.fail(http.StatusInternalServerError, "simulated", "the token is redeemed, and the answer is lost")
		return
	case "hold":
		s := c.sim.settings.Await(c.Context(), func(s *Settings) bool { return s.AfterRedeem == "hold" })
		if s == nil {
			return
		}
		c.use(s)
	}
	good := c.whose(n, c.settings.Echo)
	good[c.names.Access] = shape(c.settings.AccessToken, n.access)
	good[c.names.Public] = shape(c.settings.PublicToken, n.public)
	good.clean()
	if bad := badAnswers[c.settings.Answer]; bad != nil {
		bad(c, good)
		return
	}
	c.json(c.settings.ExchangeStatus, good)
}

// whose says to whom a connection belongs, the wrong way if echo says so.
func (c *call) whose(n connection, echo string) answer {
	a := answer{
		c.names.Account: shape(c.settings.UserCode, c.sim.accounts.text(c.settings, n.userCode)),
		c.names.User:    n.user,
		c.names.Client:  n.clientID,
	}
	switch echo {
	case "another":
		a[c.names.User] = c.settings.EchoUser
		if c.settings.EchoUser == "" {
			a[c.names.User] = "another-" + n.user
		}
	case "none":
		a[c.names.User] = absent{}
	case "empty":
		a[c.names.User] = ""
	case "another_client":
		a[c.names.Client] = "another-" + n.clientID
	case "no_client":
		a[c.names.Client] = absent{}
	}
	return a
}

// shape is a text in the form that a setting names.
func shape(form, text string) any {
	if f := idForms[form]; f != nil {
		return f(text)
	}
	return text
}

// clean leaves out what is absent.
func (a answer) clean() {
	for name, value := range a {
		if value == any(absent{}) {
			delete(a, name)
		}
	}
}

// badAnswers are the bad answers of the exchange, by the name that they have in
// [Settings]. Each gets the good answer, whose tokens are real: a client that
// falls for it gets through to the API, where a test can see it.
var badAnswers = map[string]func(*call, answer){
	"error_body": func(c *call, _ answer) {
		c.json(http.StatusOK, failure{http.StatusBadRequest, "token_rejected", "this error comes with the status of a success"})
	},
	"html": func(c *call, _ answer) {
		c.send(http.StatusOK, "text/html; charset=utf-8", []byte("<!DOCTYPE html><title>Maintenance</title><p>We will be back soon."))
	},
	"empty": func(c *call, _ answer) { c.send(http.StatusOK, "application/json", nil) },
	"huge": func(c *call, good answer) {
		// Valid JSON of 2 MiB, what matters at its end.
		rest := control.Marshal(good)
		c.send(http.StatusOK, "application/json", fmt.Appendf(nil, `{"padding":"%s",%s`, strings.Repeat("a", 2<<20), rest[1:]))
	},
	"array": func(c *call, good answer) { c.json(http.StatusOK, []answer{good}) },
	"truncated": func(c *call, good answer) {
		b := control.Marshal(good)
		c.send(http.StatusOK, "application/json", b[:len(b)-10])
	},
	// Two objects, one after the other.
	"twice": func(c *call, good answer) {
		b := control.Marshal(good)
		c.send(http.StatusOK, "application/json", slices.Concat(b, []byte("\n"), b))
	},
}

// echoRequest answers with a page that repeats the request, as a framework's page
// of an error does.
func (c *call) echoRequest(status int) {
	body := new(bytes.Buffer)
	_, _ = body.ReadFrom(http.MaxBytesReader(c.w, c.Body, maxBody))
	c.count(func(*Counts) { c.record.Reason = "simulated" })
	c.w.Header().Set("X-Request-Target", c.RequestURI)
	c.w.Header().Set("X-Request-Body", strings.Map(printable, body.String()))
	var dump strings.Builder
	_ = c.Header.Write(&dump)
	c.send(status, "text/html; charset=utf-8", fmt.Appendf(nil, "<!DOCTYPE html><title>%d %s</title>\n<p>%s %s\n<pre>%s\n\n%s</pre>\n<!-- %[6]s -->\n",
		status, http.StatusText(status), c.Method, html.EscapeString(c.RequestURI), html.EscapeString(dump.String()), strings.ReplaceAll(body.String(), "--", "- -")))
}

// printable drops what a header's value must not have.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
