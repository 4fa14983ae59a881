// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"fmt"
)

// Checker is a provider that can show an operator what works, step by step,
// before any user is there.
type Checker interface {
	// Check tries one step after the other, tells what came of each, and stops
	// at the first that fails: the next ones need it.
	Check(ctx context.Context, q Question, tell func(Finding))
}

// Question is what a [Checker] is to try besides the operator's own account.
type Question struct {
	// Delegation is the request to try, with Person and Claim: nil for none.
	// Without a Path only its token is.
	Delegation *Delegation
	// Read is whether to send it. It has to be safe, then.
	Read bool
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
}

// Step is one thing to try.
type Step struct {
	// Name is a word or two.
	Name string
	// Try does it, and tells what came of it.
	Try func(context.Context) (detail string, err error)
}

// Try tries one step after the other, and stops at the first that fails. Of a
// refusal its cause is told, which is meant for the operator.
func Try(ctx context.Context, steps []Step, tell func(Finding)) {
	for _, step := range steps {
		detail, err := step.Try(ctx)
		if err == nil {
			tell(Finding{Step: step.Name, Detail: detail, OK: true})
			continue
		}
		detail = err.Error()
		if r, ok := errors.AsType[*Refusal](err); ok && r.Unwrap() != nil {
			detail = fmt.Sprintf("%s: %v", r.Code, r.Unwrap())
		}
		tell(Finding{Step: step.Name, Detail: detail})
		return
	}
}
