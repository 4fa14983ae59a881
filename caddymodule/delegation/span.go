// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// OutcomeOK is the [Outcome] of success.
const OutcomeOK = "ok"

// Outcome returns how something ended, as a label for metrics, logs and traces:
// [OutcomeOK], or the refusal's code. There are few of them, and none names a
// person.
func Outcome(err error) string {
	if err == nil {
		return OutcomeOK
	}
	return string(AsRefusal(err).Code)
}

// StartSpan begins a span of the trace that ctx is part of, if that is recorded.
// The attributes must name no person. The returned function ends the span; it is
// to be called once, with the error, whose [Outcome] becomes the attribute
// delegate.outcome.
func StartSpan(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	// The parent's provider: the site's `tracing` handler has set it up, and
	// ends it.
	ctx, span := parent.TracerProvider().Tracer("caddy-delegate").Start(ctx, name, trace.WithAttributes(attributes...))
	return ctx, func(err error) {
		outcome := Outcome(err)
		span.SetAttributes(attribute.String("delegate.outcome", outcome))
		if err != nil && AsRefusal(err).Status() >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}
