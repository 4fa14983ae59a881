// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// read checks the claims (RFC 7519 section 4.1). An error names the claim, and
// where a setting is for that the setting, but no value.
func (j *JWT) read(d document) (s *Session, err error) {
	s = &Session{Realm: cmp.Or(j.Realm, j.Issuer), claims: d}
	audienceClaim := cmp.Or(j.AudienceClaim, "aud")
	var audiences []string
	issuer := read(&err, d.text, "iss")
	s.Subject = read(&err, d.subject, cmp.Or(j.SubjectClaim, "sub"))
	s.ID = read(&err, d.text, "sid")
	if len(j.Audiences) > 0 {
		audiences = read(&err, d.strings, audienceClaim)
	}
	notBefore := read(&err, d.time, "nbf")
	if err != nil {
		return nil, err
	}
	switch {
	case j.Issuer != "" && issuer != j.Issuer:
		return nil, errors.New("iss is another issuer")
	case len(j.Audiences) > 0 && !overlap(audiences, j.Audiences):
		return nil, errors.New(audienceClaim + " does not name this audience")
	case d["cnf"] != nil:
		// RFC 7800: only who proves to hold a key may use it, and nobody here
		// asks for the proof.
		return nil, errors.New("it is bound to a key (cnf): issue sessions without")
	case d["events"] != nil:
		return nil, errors.New("it tells of an event, as logout tokens do")
	case d.isRefreshToken():
		return nil, errors.New("it is a refresh token, which is for the issuer alone")
	case time.Now().Before(notBefore.Add(-leeway)):
		return nil, errors.New("it is not valid yet")
	}
	if err := j.limit(s, d); err != nil {
		return nil, err
	}
	return s, nil
}

// isRefreshToken tells whether a token says that it is one for getting others. Issuers
// sign those with the keys of sessions, for the same user and audience; they
// live much longer, and what has been renewed or withdrawn is known to the
// issuer alone.
func (d document) isRefreshToken() bool {
	return slices.ContainsFunc([]string{"token_use", "token_type", "typ", "type"}, func(claim string) bool {
		kind, _ := d[claim].(string)
		return slices.Contains([]string{"refresh", "refresh_token", "refresh-token", "offline"}, strings.ToLower(kind))
	})
}

// limit sets from when until when a session counts. Who signs out ends all that
// was issued before: the moment of issue must not be later than it was. The
// lifetime makes it earlier if it is longer than that of the token, and a token
// that lives longer than that is refused where it shows.
func (j *JWT) limit(s *Session, d document) (err error) {
	issued := read(&err, d.time, "iat")
	expires := read(&err, d.time, "exp")
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
