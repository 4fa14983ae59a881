// SPDX-License-Identifier: Apache-2.0

package delegation

import "context"

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
