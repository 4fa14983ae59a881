// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// judgeCredential judges a credential by each app_session of a configuration.
func judgeCredential(ctx context.Context, c command.Config, credential string, r *command.Report) (err error) {
	l, err := load(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.app.Cleanup()) }()
	for s, err := range l.sessions() {
		if err != nil {
			return err
		}
		r.Begin(s.title())
		s.judge(ctx, requestHeaders(credential, s), r.Add)
	}
	return nil
}

// requestHeaders are the headers of a request with the credential. A text that
// is none is the value of the cookie, or of a Bearer where there is none.
func requestHeaders(text string, s *AppSession) http.Header {
	h := make(http.Header)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if ok && (name == "Cookie" || name == "Authorization") {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	switch {
	case len(h) > 0:
	case s.Cookie != "" && namesCookie(text, s.Cookie):
		h.Set("Cookie", text)
	case s.Cookie != "":
		h.Set("Cookie", s.Cookie+"="+text)
	default:
		h.Set("Authorization", "Bearer "+text)
	}
	return h
}

// namesCookie tells whether text has the cookie with its name, as the pieces of
// one that was cut have to be given: "name.0=…; name.1=…".
func namesCookie(text, cookie string) bool {
	for pair := range strings.SplitSeq(text, ";") {
		name, _, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if ok && (name == cookie || strings.HasPrefix(name, cookie+".")) {
			return true
		}
	}
	return false
}

// title names an app_session by its settings.
func (s *AppSession) title() string {
	var where []string
	if s.Cookie != "" {
		where = append(where, "cookie "+s.Cookie)
	}
	if s.Bearer {
		where = append(where, "bearer")
	}
	return fmt.Sprintf("app_session: %s, %s", strings.Join(where, " or "), s.describeVerifier())
}

// judge tells what is right and wrong with what a request carries.
func (s *AppSession) judge(ctx context.Context, h http.Header, tell func(delegation.Finding)) {
	credential, err := s.extractor.Extract(h)
	if err != nil {
		tell(delegation.Finding{Step: "credential", Detail: delegation.Explain(err)})
		return
	}
	tell(delegation.Finding{Step: "credential", Detail: map[session.Source]string{
		session.InCookie: "in the cookie " + s.Cookie, session.InBearer: "in Authorization: Bearer",
	}[credential.Source], OK: true})
	for _, f := range session.Explain(ctx, s.verifier, credential) {
		tell(delegation.Finding{Step: f.Name, Detail: f.Detail, OK: f.OK, Skipped: f.Skipped})
	}
	verified, err := s.verifier.Verify(ctx, credential)
	if err != nil {
		tell(delegation.Finding{Step: "session", Detail: delegation.Explain(err)})
		return
	}
	end := "an end that nobody told"
	if !verified.Expires.IsZero() {
		end = "until " + verified.Expires.UTC().Format(time.RFC3339)
	}
	realm := s.Realm
	if realm == "" {
		realm = verified.Realm
	}
	tell(delegation.Finding{Step: "session", Detail: fmt.Sprintf("subject %s, realm %s, %s",
		delegation.Printable(verified.Subject, 200), delegation.Printable(realm, 200), end), OK: true})
	tell(delegation.Finding{Step: "sign-out", Detail: "the servers that run know who has signed out, this command does not", Skipped: true})
}
