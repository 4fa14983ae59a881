// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Detach returns a context for what goes on when the request that began it has
// ended. It carries the trace span of ctx and nothing else: no deadline, and
// none of the request's values. Among those is reverse_proxy's client trace,
// through which an issuer's informational answers (1xx) would go out to the
// browser with whatever headers they have, and Caddy's table of vars, which is
// no longer the request's own by then.
func Detach(ctx context.Context) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), span)
}

// Attached is [Detach] for what somebody waits for: it ends when ctx does.
func Attached(ctx context.Context) context.Context {
	if a, ok := ctx.(*Attachment); ok {
		return a
	}
	return &Attachment{ctx}
}

// Attachment is what [Attached] returns, for who has room for one.
type Attachment struct{ context.Context }

// Value implements [context.Context].
func (a *Attachment) Value(key any) any { return Detach(a.Context).Value(key) }
