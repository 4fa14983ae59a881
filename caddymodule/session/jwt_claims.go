// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// claimCheck judges what a token says of one thing, and keeps it in the session.
// An error names the claim, and where a setting is for that the setting, but no
// value.
type claimCheck struct {
	claim string
	check func(d claims, s *Session) error
}

// checkClaims checks the claims (RFC 7519 section 4.1).
func (j *JWT) checkClaims(d claims) (*Session, error) {
	s := j.newSession(d)
	for _, check := range j.claimChecks() {
		if err := check.check(d, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (j *JWT) newSession(d claims) *Session {
	return &Session{Realm: cmp.Or(j.Realm, j.Issuer), claims: d}
}

// claimChecks are all that a token has to say, and what it must not.
func (j *JWT) claimChecks() []claimCheck {
	audience, subject := cmp.Or(j.AudienceClaim, "aud"), cmp.Or(j.SubjectClaim, "sub")
	return []claimCheck{
		{"iss", func(d claims, _ *Session) error {
			issuer, err := d.text("iss")
			if err == nil && j.Issuer != "" && issuer != j.Issuer {
				err = errors.New("iss is another issuer")
				if strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(j.Issuer, "/") {
					err = errors.New("iss is another issuer by the slash at its end alone, and they have to agree to the last slash")
				}
			}
			return err
		}},
		{audience, func(d claims, _ *Session) error {
			if len(j.Audiences) == 0 {
				return nil
			}
			audiences, err := d.strings(audience)
			if err == nil && !intersects(audiences, j.Audiences) {
				err = errors.New(audience + " does not name this audience")
			}
			return err
		}},
		{subject, func(d claims, s *Session) (err error) {
			s.Subject, err = d.subject(subject)
			return err
		}},
		{"sid", func(d claims, s *Session) (err error) {
			s.ID, err = d.text("sid")
			return err
		}},
		{"cnf", func(d claims, _ *Session) error {
			if d["cnf"] == nil {
				return nil
			}
			// RFC 7800: only who proves to hold a key may use it, and nobody here
			// asks for the proof.
			return errors.New("it is bound to a key (cnf): issue sessions without")
		}},
		{"events", func(d claims, _ *Session) error {
			if d["events"] == nil {
				return nil
			}
			return errors.New("it tells of an event, as logout tokens do")
		}},
		{"token_use", func(d claims, _ *Session) error {
			if !d.isRefreshToken() {
				return nil
			}
			return errors.New("it is a refresh token, which is for the issuer alone")
		}},
		{"nbf", func(d claims, _ *Session) error {
			notBefore, err := d.time("nbf")
			if err == nil && time.Now().Before(notBefore.Add(-leeway)) {
				err = errors.New("it is not valid yet")
			}
			return err
		}},
		{"iat, exp", func(d claims, s *Session) error { return j.checkLifetime(s, d) }},
	}
}

// isRefreshToken tells whether a token says that it is one for getting others. Issuers
// sign those with the keys of sessions, for the same user and audience; they
// live much longer, and what has been renewed or withdrawn is known to the
// issuer alone.
func (d claims) isRefreshToken() bool {
	return slices.ContainsFunc([]string{"token_use", "token_type", "typ", "type"}, func(claim string) bool {
		kind, _ := d[claim].(string)
		return slices.Contains(refreshTokenUses, strings.ToLower(kind))
	})
}

// checkLifetime sets from when until when a session counts. Who signs out ends all that
// was issued before: the moment of issue must not be later than it was. The
// lifetime makes it earlier if it is longer than that of the token, and a token
// that lives longer than that is refused where it shows.
func (j *JWT) checkLifetime(s *Session, d claims) (err error) {
	issued := readClaim(&err, d.time, "iat")
	expires := readClaim(&err, d.time, "exp")
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case issued.IsZero() && expires.IsZero():
		return errors.New("exp and iat are missing: it would never end")
	case expires.IsZero() && j.Lifetime == 0:
		return errors.New("exp is missing: issue sessions with it, or set `lifetime` to how long they live")
	case expires.IsZero():
		expires = issued.Add(j.Lifetime)
	case issued.IsZero() && j.Lifetime == 0:
		return errors.New("iat is missing: no logout could tell sessions from before it; issue sessions with it, or set `lifetime` to how long they live")
	case issued.IsZero():
		if issued = expires.Add(-j.Lifetime); now.Before(issued.Add(-leeway)) {
			return errors.New("it lives longer than `lifetime` says: a logout would not end it; raise `lifetime`")
		}
	}
	switch {
	case !now.Before(expires.Add(leeway)):
		return errors.New("it has expired")
	case now.Before(issued.Add(-leeway)):
		return errors.New("it is not valid yet")
	case now.Sub(issued) > MaxAge:
		return errors.New("it is older than 30 days")
	}
	s.Expires = expires.Add(leeway)
	if end := issued.Add(MaxAge); end.Before(s.Expires) {
		s.Expires = end // by then a logout is forgotten
	}
	// iat is in whole seconds: who signs in anew right after a logout must not
	// be signed out. Sessions that were seen before it end by their digests.
	s.IssuedBefore = endOfSecond(issued)
	return nil
}
