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
	logSubjectNone  = "none"
	logSubjectHMAC  = "hmac"
	logSubjectClear = "clear"
)

// subjectFields is what log lines say of a person. The zero person, who is nobody or
// the operator's own service account, has no fields, whatever the naming. A
// nil naming has none for anybody.
type subjectFields func(delegation.Person) []zap.Field

func (n subjectFields) of(who delegation.Person) []zap.Field {
	if n == nil || who == (delegation.Person{}) {
		return nil
	}
	return n(who)
}

// newSubjectFields makes what log_subject says. pseudonym is the keyset's; nil
// without one.
func newSubjectFields(kind string, pseudonym func(parts ...string) string) (subjectFields, error) {
	switch {
	case kind == "" || kind == logSubjectNone:
		return nil, nil
	case kind == logSubjectClear:
		return func(who delegation.Person) []zap.Field {
			return []zap.Field{zap.String("realm", who.Realm), zap.String("subject", who.Subject)}
		}, nil
	case kind == logSubjectHMAC && pseudonym == nil:
		return nil, errors.New("log_subject hmac needs a key: add `keyset {file.…}` with a file that `caddy delegate keyset generate` made, or write log_subject none")
	case kind == logSubjectHMAC:
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

// BeginMint implements [tokens.Client].
func (p *provider) BeginMint(ctx context.Context, id *delegation.Identity, why tokens.MintReason) (context.Context, func(*delegation.Token, error)) {
	kind := "delegated"
	if id.IsService() {
		kind = "service"
	}
	who, began := id.Person, time.Now()
	ctx, end := delegation.StartSpan(ctx, "delegate.mint",
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
		p.logger.Log(level, "minted", append(fields, p.subjectFields.of(who)...)...)
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
		if err := p.releaseParticipant(ctx, who); err != nil {
			p.logger.Error("releasing the participant of a user", zap.String("provider", p.name), zap.Error(err))
			notReleased = errNotReleased
		}
	}
	err := errors.Join(p.state.tokens.Purge(ctx, s), notReleased)
	for _, other := range p.state.otherVersions() {
		other.tokens.PurgeLocal(s)
	}
	purgesTotal.WithLabelValues(p.name).Inc()
	level := zapcore.InfoLevel
	if err != nil {
		level = zapcore.WarnLevel
	}
	p.logger.Log(level, "purged", append([]zap.Field{
		zap.String("provider", p.name),
		zap.String("by", by),
		zap.String("selected", selectionKind(s)),
		zap.Bool("released", release && notReleased == nil),
		zap.Bool("complete", err == nil),
	}, p.subjectFields.of(who)...)...)
	return err
}

// selectionKind tells what kind of selection it is, not whom it selects.
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
