// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Checker is a provider that can show an operator what works, step by step,
// before any user is there.
type Checker interface {
	// Check tries one step after the other, tells what came of each, and stops
	// at the first that fails: the next ones need it.
	Check(ctx context.Context, q CheckRequest, tell func(Finding))
}

// CheckRequest is what a [Checker] is to try besides the operator's own account.
type CheckRequest struct {
	// Delegation is the request to try, with Person and Claim: nil for none.
	// Without a Path only its token is.
	Delegation *Delegation
	// Send is whether to send it. It has to be safe, then.
	Send bool
	// Routes are the lines of the route policies that ask for scopes of their
	// own: so that it can be told which line asks for a scope that is refused.
	Routes []Route
}

// RoutesRequiring names the routes that ask for a scope by themselves; "" if none does,
// and it is the provider's own.
func (q *CheckRequest) RoutesRequiring(scope string) string {
	var patterns []string
	for _, r := range q.Routes {
		if slices.Contains(r.Scopes, scope) && !slices.Contains(patterns, r.Pattern) {
			patterns = append(patterns, r.Pattern)
		}
	}
	return strings.Join(patterns, ", ")
}

// Finding is what came of one step.
type Finding struct {
	// Step is what was tried, in a word or two.
	Step string
	// Detail is what came of it, or why nothing did and how to mend that. It
	// holds no secret, and nothing of a platform's answer.
	Detail string
	// OK is whether it worked.
	OK bool
	// Skipped is whether nothing was tried; Detail says why. OK says nothing then.
	Skipped bool
}

// CheckStep is one thing to try.
type CheckStep struct {
	// Name is a word or two.
	Name string
	// Run does it, and tells what came of it.
	Run func(context.Context) (detail string, err error)
}

// RunChecks tries one step after the other, and stops at the first that fails: the
// names of those that were left are told as skipped. Of a refusal its cause is
// told, which is meant for the operator.
func RunChecks(ctx context.Context, steps []CheckStep, tell func(Finding)) {
	for i, step := range steps {
		detail, err := step.Run(ctx)
		if err == nil {
			tell(Finding{Step: step.Name, Detail: detail, OK: true})
			continue
		}
		tell(Finding{Step: step.Name, Detail: Explain(err)})
		for _, left := range steps[i+1:] {
			tell(Finding{Step: left.Name, Detail: "it needs " + step.Name, Skipped: true})
		}
		return
	}
}

// Explain is the text of an error for the operator: of a refusal its code and
// its cause.
func Explain(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok && r.Unwrap() != nil {
		return fmt.Sprintf("%s: %v", r.Code, r.Unwrap())
	}
	return err.Error()
}

// StatusCause says what a platform's status may mean for a request that was
// sent with a new token.
func StatusCause(status int) string {
	meaning := map[int]string{
		http.StatusBadRequest:          "the request lacks something: give --route the query that the route needs (\"GET /path?name=value\")",
		http.StatusUnauthorized:        "it does not accept the token, or a scope is missing for the route",
		http.StatusForbidden:           "a scope is missing for the route: add it to the provider's scopes, and to the allow line if it has any",
		http.StatusNotFound:            "there is no such path: it is compared and sent as it stands in the allow line, without what handle_path strips",
		http.StatusMethodNotAllowed:    "it does not know the method on this path",
		http.StatusTooManyRequests:     "the quota is spent",
		http.StatusUnprocessableEntity: "the request lacks something, or a value is not allowed",
	}[status]
	switch {
	case meaning != "":
	case status >= http.StatusInternalServerError:
		meaning = "it fails by itself: try again later"
	default:
		meaning = "see the platform's documentation of the route"
	}
	return fmt.Sprintf("the platform answers with status %d: %s", status, meaning)
}
