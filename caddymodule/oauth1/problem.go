// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Problem is a word by which a vendor says why it has refused a request: the value of
// oauth_problem in the extension "OAuth Problem Reporting", or "" for a vendor that
// does not say. RFC 5849 section 3.2 has statuses only.
type Problem string

// The problems that are told apart here.
const (
	TimestampRefused Problem = "timestamp_refused"
	NonceUsed        Problem = "nonce_used"
)

// Kind is what a problem is about.
type Kind int

// The kinds of problems.
const (
	Unknown      Kind = iota
	Time              // timestamp or nonce: the same request, signed anew, may pass
	ClientFault       // the client, or how it signs: the operator's to mend
	RequestFault      // a parameter, such as a return address that the vendor does not know
	TokenFault        // the token or the verifier is not accepted
	Denied            // the person has not allowed it
)

var kinds = map[Problem]Kind{
	TimestampRefused: Time, NonceUsed: Time,
	"consumer_key_unknown": ClientFault, "consumer_key_rejected": ClientFault, "consumer_key_refused": ClientFault,
	"signature_method_rejected": ClientFault, "signature_invalid": ClientFault, "version_rejected": ClientFault,
	"parameter_absent": RequestFault, "parameter_rejected": RequestFault,
	"token_used": TokenFault, "token_expired": TokenFault, "token_revoked": TokenFault, "token_rejected": TokenFault, "verifier_invalid": TokenFault,
	"permission_denied": Denied, "user_refused": Denied,
}

// Error implements error: the problem's word.
func (p Problem) Error() string { return string(p) }

// Kind returns what the problem is about.
func (p Problem) Kind() Kind { return kinds[p] }

var challengeRE = regexp.MustCompile(`(?i)[\s,]oauth_problem="?([a-z_]{1,40})`)

// ProblemIn returns the problem that an answer names, in its header WWW-Authenticate or
// in what is known of its body, as a form. A word that is not among the known ones is
// none: it may be anything.
func ProblemIn(header http.Header, body []byte) Problem {
	for _, challenge := range header["Www-Authenticate"] {
		if found := challengeRE.FindStringSubmatch(challenge); found != nil {
			return known(found[1])
		}
	}
	text := strings.TrimSpace(string(body))
	if !strings.Contains(text, "oauth_problem=") {
		return ""
	}
	form, _ := url.ParseQuery(text) // as far as it is one
	return known(form.Get("oauth_problem"))
}

func known(word string) Problem {
	p := Problem(strings.ToLower(word))
	if kinds[p] == Unknown {
		return ""
	}
	return p
}
