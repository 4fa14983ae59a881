// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// describeClaim returns the value of a claim whose check has passed; "" if it has passed
// because there is no such claim.
func (j *JWT) describeClaim(claim string, d claims, s *Session) string {
	switch claim {
	case "iss":
		if j.Issuer == "" {
			return "it does not matter, as the keys are this app's own"
		}
		return printableClaim(j.Issuer)
	case cmp.Or(j.AudienceClaim, "aud"):
		if len(j.Audiences) == 0 {
			return "it does not matter, as the keys are this app's own"
		}
		return printValues(d, claim)
	case cmp.Or(j.SubjectClaim, "sub"):
		return "names the user"
	case "sid":
		if s.ID == "" {
			return ""
		}
		return "names the session"
	case "iat, exp":
		return fmt.Sprintf("issued before %s, ends %s with %s of leeway", formatTime(s.IssuedBefore), formatTime(s.Expires), leeway)
	default:
		return ""
	}
}

// formatTime returns a time in UTC as RFC 3339.
func formatTime(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// printableClaim returns a value for the terminal: it must be no secret, and of no person.
func printableClaim(text string) string { return delegation.Printable(text, 200) }

// printValues returns a claim that is a string or a list of strings; "" for any other.
func printValues(d claims, claim string) string {
	values, err := d.strings(claim)
	if err != nil || len(values) == 0 {
		return ""
	}
	for i, v := range values {
		values[i] = printableClaim(v)
	}
	return strings.Join(values, ", ")
}

// audienceClaims and subjectClaims are the claims by which issuers name the audience and
// the user, besides those of RFC 7519.
var (
	audienceClaims = []string{"aud", "azp", "client_id", "cid", "appid"}
	subjectClaims  = []string{"sub", "user_id", "uid", "id", "user.id", "userId", "oid", "username"}
)

// claimHint says which settings would make the check of a claim pass, from what else the
// token says. Whether that is right is for the operator to know.
func (j *JWT) claimHint(claim string, d claims) string {
	switch claim {
	case "iss":
		issuer, _ := d.text("iss")
		if issuer == "" {
			return "; it names none: with a key of the app's own (`public_key`, `hmac_secret`) leave `issuer` out and give a `realm`"
		}
		return fmt.Sprintf(": it says %s and `issuer` says %s", printableClaim(issuer), printableClaim(j.Issuer))
	case cmp.Or(j.AudienceClaim, "aud"):
		text := ""
		if values := printValues(d, claim); values != "" {
			text = fmt.Sprintf(": it names %s and `audience` says %s", values, printableClaim(strings.Join(j.Audiences, ", ")))
		}
		for _, other := range audienceClaims {
			if values := printValues(d, other); other != claim && values != "" {
				text += fmt.Sprintf("; %s names %s: if that is your app write `audience_claim %s` and `audience` with it", other, values, other)
			}
		}
		return text
	case cmp.Or(j.SubjectClaim, "sub"):
		others := subjectCandidates(d, claim)
		if len(others) > 0 {
			return "; others that could name the user: " + strings.Join(others, ", ") + ": `subject_claim` with the one that never changes and is never given to somebody else"
		}
		return ""
	case "iat, exp":
		var texts []string
		for _, name := range []string{"iat", "exp"} {
			if at, err := d.time(name); err == nil && !at.IsZero() {
				texts = append(texts, name+" "+formatTime(at))
			}
		}
		if len(texts) > 0 {
			return fmt.Sprintf(": %s, and here it is %s", strings.Join(texts, ", "), formatTime(time.Now()))
		}
		return ""
	default:
		return ""
	}
}
