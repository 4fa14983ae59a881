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

// Checker is implemented by a provider that can test its settings for the
// operator, step by step, before there is any user: `caddy delegate check`.
type Checker interface {
	// Check tries one step after the other, calls tell with the finding of each,
	// and stops at the first that fails: the later ones need it.
	Check(ctx context.Context, q CheckRequest, tell func(Finding))
}

// CheckRequest says what a [Checker] is to try besides the operator's own account.
type CheckRequest struct {
	// Delegation is the request to try, with Person and Claim; nil for none. If
	// its Path is empty, only the token is obtained.
	Delegation *Delegation
	// Send sends the request as well, whose method has to be a safe one.
	Send bool
	// Routes are the route policies' lines with scopes of their own, by which a
	// finding names the line that requires a refused scope.
	Routes []Route
}

// RoutesRequiring returns the patterns of the routes that name a scope, joined by
// commas; "" if it is only among the provider's own.
func (q *CheckRequest) RoutesRequiring(scope string) string {
	var patterns []string
	for _, r := range q.Routes {
		if slices.Contains(r.Scopes, scope) && !slices.Contains(patterns, r.Pattern) {
			patterns = append(patterns, r.Pattern)
		}
	}
	return strings.Join(patterns, ", ")
}

// Finding is the result of one step of a check.
type Finding struct {
	// Step names the step in a word or two.
	Step string
	// Detail is what was found, or why the step failed and what to do about it.
	// It holds no secret, and nothing of a platform's answer.
	Detail string
	// OK reports whether the step succeeded.
	OK bool
	// Skipped reports that the step was not tried, for the reason in Detail. OK
	// means nothing then.
	Skipped bool
	// Warning reports that the step succeeded, and found what is wrong in most
	// deployments and right in some.
	Warning bool
}

// CheckStep is one step of a check.
type CheckStep struct {
	// Name names the step in a word or two.
	Name string
	// Run runs the step and returns the [Finding]'s detail.
	Run func(context.Context) (detail string, err error)
}

// CheckWarning is the error of a [CheckStep] whose finding is wrong in most deployments
// and right in some. The steps behind it are run all the same.
type CheckWarning struct{ Detail string }

// Error implements error.
func (w *CheckWarning) Error() string { return w.Detail }

// RunChecks runs one step after the other and calls tell with the finding of each.
// After the first that fails the remaining ones are told as skipped.
func RunChecks(ctx context.Context, steps []CheckStep, tell func(Finding)) {
	for i, step := range steps {
		detail, err := step.Run(ctx)
		if err == nil {
			tell(Finding{Step: step.Name, Detail: detail, OK: true})
			continue
		}
		if w, ok := errors.AsType[*CheckWarning](err); ok {
			tell(Finding{Step: step.Name, Detail: w.Detail, OK: true, Warning: true})
			continue
		}
		tell(Finding{Step: step.Name, Detail: Explain(err)})
		for _, left := range steps[i+1:] {
			tell(Finding{Step: left.Name, Detail: "it needs " + step.Name, Skipped: true})
		}
		return
	}
}

// Explain returns the text of an error for the operator: the code and cause of a
// refusal, any other error's own text.
func Explain(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok && r.Unwrap() != nil {
		return fmt.Sprintf("%s: %v", r.Code, r.Unwrap())
	}
	return err.Error()
}

// StatusCause returns what a platform's status may mean for a request that was sent
// with a new token, as a text for the operator.
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
