// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The values of [App.LogSubject].
const (
	logSubjectNone  = "none"
	logSubjectHMAC  = "hmac"
	logSubjectClear = "clear"
)

// subjectFields makes the fields of a log line that name a person, as
// log_subject says. A nil one makes none.
type subjectFields func(delegation.Person) []zap.Field

// of returns the fields for a person; none for the zero person, who is nobody
// or the operator's own service account.
func (f subjectFields) of(who delegation.Person) []zap.Field {
	if f == nil || who == (delegation.Person{}) {
		return nil
	}
	return f(who)
}

// newSubjectFields makes the fields of a value of log_subject. pseudonym is an
// HMAC by the keyset, nil without one. An error names a value that is unknown,
// or hmac without a keyset.
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
			// A purge of a whole realm names no one person.
			if who.Realm == "" || who.Subject == "" {
				return nil
			}
			return []zap.Field{zap.String("subject_hmac", pseudonym("log subject", who.Realm, who.Subject))}
		}, nil
	default:
		return nil, fmt.Errorf("log_subject is none, hmac or clear, not %q", kind)
	}
}
