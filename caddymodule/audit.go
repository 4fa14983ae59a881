// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// The values of [App.LogSubject].
const (
	logNone  = "none"
	logHMAC  = "hmac"
	logClear = "clear"
)

// naming is what log lines say of a person. The zero person, who is nobody or
// the operator's own service account, has no fields, whatever the naming. A
// nil naming has none for anybody.
type naming func(delegation.Person) []zap.Field

func (n naming) fields(who delegation.Person) []zap.Field {
	if n == nil || who == (delegation.Person{}) {
		return nil
	}
	return n(who)
}

// newNaming makes what log_subject says. pseudonym is the keyset's; nil
// without one.
func newNaming(kind string, pseudonym func(parts ...string) string) (naming, error) {
	switch {
	case kind == "" || kind == logNone:
		return nil, nil
	case kind == logClear:
		return func(who delegation.Person) []zap.Field {
			return []zap.Field{zap.String("realm", who.Realm), zap.String("subject", who.Subject)}
		}, nil
	case kind == logHMAC && pseudonym == nil:
		return nil, errors.New("log_subject hmac needs a key: add `keyset {file.…}` with a file that `caddy delegate keyset generate` made, or write log_subject none")
	case kind == logHMAC:
		return func(who delegation.Person) []zap.Field {
			// Whoever asked for "every realm" named no one person.
			if who.Realm == "" || who.Subject == "" {
				return nil
			}
			return []zap.Field{zap.String("subject_hmac", pseudonym("log subject", who.Realm, who.Subject))}
		}, nil
	default:
		return nil, fmt.Errorf("log_subject is none, hmac or clear, not %q", kind)
	}
}

// Minting implements [tokens.Client].
func (p *provider) Minting(ctx context.Context, id *delegation.Identity, why tokens.Reason) (context.Context, func(*delegation.Token, error)) {
	kind := "delegated"
	if id.IsService() {
		kind = "service"
	}
	who, began := id.Person, time.Now()
	ctx, end := delegation.Span(ctx, "delegate.mint",
		attribute.String("delegate.provider", p.name),
		attribute.String("delegate.token", kind),
		attribute.String("delegate.reason", string(why)),
	)
	return ctx, func(_ *delegation.Token, err error) {
		took := time.Since(began)
		end(err)
		mintsTotal.WithLabelValues(p.name, kind, string(why), delegation.Outcome(err)).Inc()
		mintDuration.WithLabelValues(p.name, kind).Observe(took.Seconds())
		level, fields := zapcore.InfoLevel, []zap.Field{
			zap.String("provider", p.name),
			zap.String("token", kind),
			zap.String("reason", string(why)),
			zap.String("outcome", delegation.Outcome(err)),
			zap.Duration("duration", took),
		}
		if err != nil {
			r := delegation.AsRefusal(err)
			level = zapcore.WarnLevel
			if r.Status() >= http.StatusInternalServerError {
				level = zapcore.ErrorLevel
			}
			fields = append(fields, zap.NamedError("cause", r.Unwrap()))
		}
		p.logger.Log(level, "minted", append(fields, p.naming.fields(who)...)...)
	}
}

// errNotReleased is a purge that has not ended a binding.
var errNotReleased = errors.New("not_released: this machine has purged, but the grants cannot be used, where the user is bound to their participant; purge with release again when they can")

// purge drops who is selected, here and on the machines that share tokens.
// release also ends the binding of the one person to their participant. by is
// who asked for it. The error is [tokens.ErrIncomplete] or errNotReleased.
func (p *provider) purge(ctx context.Context, s delegation.Selection, release bool, by string) error {
	who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
	var notReleased error
	if release {
		// First: a lookup in between would find the old binding in its way, and
		// that be remembered.
		if err := p.release(ctx, who); err != nil {
			p.logger.Error("releasing the participant of a user", zap.String("provider", p.name), zap.Error(err))
			notReleased = errNotReleased
		}
	}
	err := errors.Join(p.shared.tokens.Purge(ctx, s), notReleased)
	for _, other := range p.shared.siblings() {
		other.tokens.Drop(s)
	}
	purgesTotal.WithLabelValues(p.name).Inc()
	level := zapcore.InfoLevel
	if err != nil {
		level = zapcore.WarnLevel
	}
	p.logger.Log(level, "purged", append([]zap.Field{
		zap.String("provider", p.name),
		zap.String("by", by),
		zap.String("selected", selected(s)),
		zap.Bool("released", release && notReleased == nil),
		zap.Bool("complete", err == nil),
	}, p.naming.fields(who)...)...)
	return err
}

// selected tells what kind of selection it is, not whom it selects.
func selected(s delegation.Selection) string {
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
