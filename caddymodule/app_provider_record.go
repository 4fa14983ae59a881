// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// providerRecord is a provider as its operators see it: log lines, traces,
// metrics, and the statistics of refusals and callbacks. It belongs to one
// configuration; the metrics' counters are the process's.
type providerRecord struct {
	name          string
	logger        *zap.Logger
	subjectFields subjectFields
	counters      hotCounters
	refusals      *refusalStats
	callbacks     callbackMonitor
}

// newProviderRecord makes the record of the named provider. fields name people in
// its log lines; logger is the configuration's.
func newProviderRecord(name string, fields subjectFields, logger *zap.Logger) *providerRecord {
	return &providerRecord{
		name: name, logger: logger, subjectFields: fields,
		counters: newHotCounters(name, ""), refusals: newRefusalStats(logger), callbacks: callbackMonitor{logger: logger},
	}
}

// beginMint begins the span of a mint of a source's token, or of the provider's
// own if source is empty. It returns the context for the mint, and
// the function that ends the span, counts the mint and logs it as `minted`: at
// level info, warn if it was refused for the person's sake, error if for the
// platform's or the operator's.
func (p *providerRecord) beginMint(ctx context.Context, source string, id *delegation.Identity, why tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	kind := "delegated"
	if id.IsService() {
		kind = "service"
	}
	who, began := id.Person, time.Now()
	attributes := []attribute.KeyValue{
		attribute.String("delegate.provider", p.name),
		attribute.String("delegate.token", kind),
		attribute.String("delegate.reason", string(why)),
	}
	if source != "" {
		attributes = append(attributes, attribute.String("delegate.source", source))
	}
	ctx, end := delegation.StartSpan(ctx, "delegate.mint", attributes...)
	return ctx, func(_ *delegation.Token, err error) {
		took := time.Since(began)
		end(err)
		mintsTotal.WithLabelValues(p.name, source, kind, string(why), delegation.Outcome(err)).Inc()
		mintDuration.WithLabelValues(p.name, source, kind).Observe(took.Seconds())
		level, fields := zapcore.InfoLevel, []zap.Field{
			zap.String("provider", p.name),
			zap.String("token", kind),
			zap.String("reason", string(why)),
			zap.String("outcome", delegation.Outcome(err)),
			zap.Duration("duration", took),
		}
		fields = append(fields, sourceField(source))
		if err != nil {
			r := delegation.AsRefusal(err)
			level = zapcore.WarnLevel
			if r.Status() >= http.StatusInternalServerError {
				level = zapcore.ErrorLevel
			}
			fields = append(fields, zap.NamedError("cause", r.Unwrap()))
		}
		p.logger.Log(level, "minted", append(fields, p.subjectFields.of(who)...)...)
	}
}

// recordPurge counts a purge and logs it as `purged`, at level warn if it is
// incomplete. by is who asked for it, such as admin; released, whether the
// binding of the person to their participant was ended.
func (p *providerRecord) recordPurge(s delegation.Selection, by string, released, complete bool) {
	purgesTotal.WithLabelValues(p.name).Inc()
	level := zapcore.InfoLevel
	if !complete {
		level = zapcore.WarnLevel
	}
	p.logger.Log(level, "purged", append([]zap.Field{
		zap.String("provider", p.name),
		zap.String("by", by),
		zap.String("selected", selectionKind(s)),
		zap.Bool("released", released),
		zap.Bool("complete", complete),
	}, p.subjectFields.of(delegation.Person{Realm: s.Realm, Subject: s.Subject})...)...)
}

// selectionKind is the kind of a selection, for logs; it names no person.
func selectionKind(s delegation.Selection) string {
	switch {
	case s.Participant != "":
		return "participant"
	case s.Subject != "":
		return "subject"
	case s.Realm != "":
		return "realm"
	default:
		return "all"
	}
}
