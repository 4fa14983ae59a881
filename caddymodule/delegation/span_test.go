// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestSpan protects traces: a span belongs to the trace it was begun in and
// tells its outcome by a code, never by an error's text.
func TestSpan(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		outcome string
		status  codes.Code
	}{
		"success":  {nil, "ok", codes.Unset},
		"refusal":  {Refuse(ParticipantUnknown, errors.New("alice")), "participant_unknown", codes.Unset},
		"operator": {Refuse(CredentialsRejected, errors.New("alice")), "credentials_rejected", codes.Error},
		"fault":    {errors.New("alice"), "issuer_unavailable", codes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			memory := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory))
			ctx, parent := provider.Tracer("test").Start(t.Context(), "request")
			inner, end := StartSpan(ctx, "delegate.mint", attribute.String("delegate.provider", "p"))
			_, endInner := StartSpan(inner, "delegate.mint")
			endInner(nil)
			end(c.err)
			spans := memory.GetSpans()
			if len(spans) != 2 {
				t.Fatalf("%d spans, want 2", len(spans))
			}
			span := spans[1]
			if span.Parent.SpanID() != parent.SpanContext().SpanID() || spans[0].Parent.SpanID() != span.SpanContext.SpanID() {
				t.Error("the spans are not nested in the request's")
			}
			if got := attribute.NewSet(span.Attributes...); !got.HasValue("delegate.provider") || got.Len() != 2 {
				t.Errorf("attributes %v", span.Attributes)
			} else if v, _ := got.Value("delegate.outcome"); v.AsString() != c.outcome {
				t.Errorf("outcome %q, want %q", v.AsString(), c.outcome)
			}
			if span.Status.Code != c.status || span.Status.Description == "alice" || len(span.Events) != 0 {
				t.Errorf("status %+v with %d events", span.Status, len(span.Events))
			}
		})
	}
}

// TestSpanWithoutTrace protects sites that are not traced, and what runs in the
// background: nothing begins a trace of its own.
func TestSpanWithoutTrace(t *testing.T) {
	memory := tracetest.NewInMemoryExporter()
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory), sdktrace.WithSampler(sdktrace.NeverSample()))
	notRecording, _ := unsampled.Tracer("test").Start(t.Context(), "request")
	recording, parent := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory)).Tracer("test").Start(t.Context(), "request")
	parent.End()
	memory.Reset()
	for name, ctx := range map[string]context.Context{"no span": t.Context(), "not sampled": notRecording, "ended": recording} {
		inner, end := StartSpan(ctx, "delegate.mint")
		end(errors.New("x"))
		if inner != ctx || len(memory.GetSpans()) != 0 {
			t.Errorf("%s: a span was begun", name)
		}
	}
}
