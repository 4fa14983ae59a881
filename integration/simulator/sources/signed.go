// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// signedCalls are those that were seen.
type signedCalls struct {
	nonces control.Expiring[struct{}]
	mu     sync.Mutex
	latest map[string]int64 // timestamp by consumer
}

// signedCall is a request whose signature is right.
type signedCall struct {
	consumer Client
	oauth    map[string]string // the oauth_ parameters
	others   []parameter       // of query and form
}

// problem is a refusal of OAuth 1.0a, in the words of the extension Problem
// Reporting.
type problem struct {
	status         int
	word, advice   string
	wrongSignature bool
}

func (c *call) refuseSigned(p *problem) {
	c.count(func(n *Counts) {
		if p.wrongSignature {
			n.WrongSignature++
		}
	})
	c.because(p.word + ": " + p.advice)
	c.w.Header().Set("WWW-Authenticate", `OAuth realm="simulator", oauth_problem="`+p.word+`"`)
	c.send(p.status, "application/x-www-form-urlencoded", []byte("oauth_problem="+p.word+"&oauth_problem_advice="+percent(p.advice)))
}

// knownParameters are those of the protocol; others that begin with oauth_ are none.
var knownParameters = []string{
	"oauth_consumer_key", "oauth_token", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_version",
	"oauth_signature", "oauth_callback", "oauth_verifier",
}

// verify reads and verifies a signed request (RFC 5849 section 3.2). tokenSecret
// returns the secret of a token that is good here.
func (c *call) verify(tokenSecret func(token, consumer string) (string, *problem)) (signedCall, *problem) {
	s, all, p := c.readSigned()
	if p != nil {
		return s, p
	}
	var ok bool
	if s.consumer, ok = c.sim.client(s.oauth["oauth_consumer_key"]); !ok {
		return s, &problem{status: http.StatusUnauthorized, word: "consumer_key_unknown", advice: "there is no such consumer"}
	}
	way := s.oauth["oauth_signature_method"]
	if !slices.Contains(c.settings.OAuth1.Methods, way) {
		return s, &problem{status: http.StatusBadRequest, word: "signature_method_rejected", advice: "this vendor takes " + strings.Join(c.settings.OAuth1.Methods, ", ")}
	}
	if v, there := s.oauth["oauth_version"]; there && v != "1.0" {
		return s, &problem{status: http.StatusBadRequest, word: "version_rejected", advice: "oauth_version is not 1.0"}
	}
	secret, p := tokenSecret(s.oauth["oauth_token"], s.consumer.ID)
	if p != nil {
		return s, p
	}
	base := signatureBase(c.Method, control.Base(c.Request)+c.URL.EscapedPath(), all)
	if subtle.ConstantTimeCompare([]byte(sign(way, base, s.consumer.Secret, secret)), []byte(s.oauth["oauth_signature"])) == 0 {
		return s, &problem{status: http.StatusUnauthorized, word: "signature_invalid", advice: "the base string is " + base, wrongSignature: true}
	}
	return s, c.checkTime(s)
}

// readSigned reads the parameters, which are in one place and there once.
func (c *call) readSigned() (s signedCall, all []parameter, p *problem) {
	bad := func(word, advice string) *problem {
		return &problem{status: http.StatusBadRequest, word: word, advice: advice}
	}
	query, err := parseForm(c.URL.RawQuery)
	if err != nil {
		return s, nil, bad("parameter_rejected", "the query cannot be read")
	}
	var body, header []parameter
	if c.form != nil {
		if body, err = parseForm(string(c.body)); err != nil {
			return s, nil, bad("parameter_rejected", "the form cannot be read")
		}
	}
	headers := c.Header.Values("Authorization")
	if len(headers) > 1 {
		return s, nil, bad("parameter_rejected", "Authorization is there twice")
	}
	if len(headers) == 1 && !c.settings.OAuth1.NoHeader {
		scheme, text, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "oauth") {
			return s, nil, bad("parameter_absent", "Authorization is not OAuth")
		}
		if header, err = parseAuthorization(text); err != nil {
			return s, nil, bad("parameter_rejected", err.Error())
		}
	}
	s.oauth = make(map[string]string)
	places := 0
	for _, place := range [][]parameter{query, body, header} {
		had := false
		for _, q := range place {
			if !strings.HasPrefix(q.name, "oauth_") {
				if q.name != "realm" {
					s.others = append(s.others, q)
				}
				continue
			}
			// On the request for a request token, a vendor may want the callback
			// elsewhere; it is one parameter like others all the same.
			if _, twice := s.oauth[q.name]; twice || !slices.Contains(knownParameters, q.name) {
				return s, nil, bad("parameter_rejected", q.name+" is unknown or there twice")
			}
			s.oauth[q.name] = q.value
			had = true
		}
		if had {
			places++
		}
	}
	if places > 1 {
		return s, nil, bad("parameter_rejected", "there are parameters of OAuth in more than one place")
	}
	for _, name := range []string{"oauth_consumer_key", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_signature"} {
		if s.oauth[name] == "" {
			return s, nil, bad("parameter_absent", name)
		}
	}
	return s, slices.Concat(query, body, header), nil
}

// checkTime refuses a timestamp that is wrong and a nonce that was used (RFC 5849
// section 3.3).
func (c *call) checkTime(s signedCall) *problem {
	stamp, err := strconv.ParseInt(s.oauth["oauth_timestamp"], 10, 64)
	off := max(stamp-c.now.Unix(), c.now.Unix()-stamp)
	if window := int64(c.settings.OAuth1.Window); err != nil || off > window {
		return &problem{status: http.StatusUnauthorized, word: "timestamp_refused", advice: "the timestamp is off by " + strconv.FormatInt(off, 10) + " s"}
	}
	seen := &c.sim.signed
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.latest == nil {
		seen.latest = make(map[string]int64)
	}
	if c.settings.OAuth1.Monotonic && stamp < seen.latest[s.consumer.ID] {
		return &problem{status: http.StatusUnauthorized, word: "timestamp_refused", advice: "the timestamp is lower than one before"}
	}
	key := strings.Join([]string{s.consumer.ID, s.oauth["oauth_token"], s.oauth["oauth_timestamp"], s.oauth["oauth_nonce"]}, " ")
	if !seen.nonces.Add(key, struct{}{}, c.now.Add(2*time.Duration(c.settings.OAuth1.Window)*time.Second), c.now) {
		return &problem{status: http.StatusUnauthorized, word: "nonce_used", advice: "the nonce was used before"}
	}
	seen.latest[s.consumer.ID] = max(seen.latest[s.consumer.ID], stamp)
	return nil
}
