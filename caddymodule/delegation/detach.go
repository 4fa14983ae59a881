// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Detach returns a context for work that outlives the request that began it. It
// carries the trace span of ctx and nothing else: no deadline, and none of the
// request's values. Among those are reverse_proxy's client trace, through which
// an issuer's informational answers (1xx) would go out to the browser with
// whatever headers they have, and Caddy's table of vars, which belongs to
// another request by then.
func Detach(ctx context.Context) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), span)
}

// WithoutValues is [Detach] for work that the request waits for: the context it
// returns ends when ctx does.
func WithoutValues(ctx context.Context) context.Context {
	if a, ok := ctx.(*ValuelessContext); ok {
		return a
	}
	return &ValuelessContext{ctx}
}

// ValuelessContext is the context that [WithoutValues] returns, as a type that a
// caller can embed to spare the allocation.
type ValuelessContext struct{ context.Context }

// Value implements [context.Context].
func (a *ValuelessContext) Value(key any) any { return Detach(a.Context).Value(key) }
