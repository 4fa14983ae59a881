// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// keySource returns the name of the setting that the keys come from.
func (j *SessionJWT) keySource() string {
	switch {
	case j.JWKS != "":
		return "jwks"
	case len(j.PublicKeys) > 0:
		return "public_key"
	default:
		return "hmac_secret"
	}
}

// check returns an error for what is missing, set twice or out of bounds, before
// placeholders are expanded.
func (j *SessionJWT) check() error {
	sources := 0
	for _, given := range []bool{j.JWKS != "", len(j.PublicKeys) > 0, len(j.HMACSecrets) > 0} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0:
		return errNoVerifier
	case sources > 1:
		// Whoever signs with a public key as if it were a secret must find
		// nobody to take it.
		return errors.New("jwks, public_key and hmac_secret exclude each other: choose one")
	case len(j.HMACSecrets) > 2:
		return errors.New("hmac_secret may stand twice, during rotation, not more")
	case j.AudienceClaim != "" && len(j.Audiences) == 0:
		return fmt.Errorf("audience_claim has no effect without audience: add `audience` with what %s of your sessions says", j.AudienceClaim)
	case j.Lifetime < 0 || time.Duration(j.Lifetime) > maxLifetime:
		return fmt.Errorf("lifetime %s: write a positive duration of at most %s, such as 12h or 14d", time.Duration(j.Lifetime), maxLifetime)
	}
	for _, claim := range []string{j.AudienceClaim, j.SubjectClaim} {
		if strings.ContainsAny(claim, "{}") {
			return fmt.Errorf("audience_claim and subject_claim take the name of a claim and no placeholder: replace %s", claim)
		}
	}
	return nil
}

// maxLifetime bounds `lifetime`: no session lives longer.
const maxLifetime = 366 * 24 * time.Hour

// checkBinding returns an error if nothing binds sessions to this app. Keys of the
// configuration may be the app's own, which sign nothing else: for these a realm is enough,
// which such sessions need anyway.
func (j *SessionJWT) checkBinding(realm string) error {
	var missing, says, instead string
	switch {
	case j.Issuer != "" && len(j.Audiences) > 0:
		return nil
	case j.JWKS == "" && realm != "":
		return nil
	case j.Issuer == "":
		missing, says = "issuer", "what `iss` of your sessions says"
	default:
		missing, says = "audience", fmt.Sprintf("what `%s` of your sessions says; without it a token for another app would let its user in here", cmp.Or(j.AudienceClaim, "aud"))
	}
	if j.JWKS == "" {
		instead = fmt.Sprintf("; or, if your app alone signs by this %s, add `realm <name>` and leave it out", j.keySource())
	} else if missing == "audience" && j.AudienceClaim == "" {
		instead = "; if they have no `aud`, name the claim that has the client's ID by `audience_claim <claim>`"
	}
	return fmt.Errorf("%s is missing: %s%s", missing, says, instead)
}

// checkBackchannel returns an error for settings that do not go with logout tokens, whose
// claims OpenID Connect fixes.
func (j *SessionJWT) checkBackchannel() error {
	switch {
	case j.AudienceClaim != "" || j.SubjectClaim != "" || j.Lifetime != 0:
		return errors.New("remove audience_claim, subject_claim and lifetime: a logout token has aud, sub or sid, and iat")
	case j.Issuer == "":
		return errors.New("issuer is missing: what `iss` of the logout tokens says")
	case len(j.Audiences) == 0:
		return errors.New("audience is missing: what `aud` of the logout tokens says, the client's ID")
	}
	return nil
}

// checkHTTP returns an error for connection settings that would have no effect.
func (j *SessionJWT) checkHTTP(http *HTTP, insecure bool) error {
	switch {
	case j.JWKS != "":
	case http != nil:
		return errors.New("http has no effect: nobody is asked where the keys are given; remove it")
	case insecure:
		return errors.New("insecure_http has no effect: nobody is asked where the keys are given; remove it")
	}
	return nil
}

// parse reads one subdirective of app_session or backchannel. ok is whether it is one of
// the settings of SessionJWT.
func (j *SessionJWT) parse(d *caddyfile.Dispenser) (ok bool, err error) {
	several := func(to *[]string) error {
		var one string
		if err := parseOnce(d, &one); err != nil {
			return err
		}
		*to = append(*to, one)
		return nil
	}
	switch d.Val() {
	case "jwks":
		err = parseOnce(d, &j.JWKS)
	case "public_key":
		err = several(&j.PublicKeys)
	case "hmac_secret":
		err = several(&j.HMACSecrets)
	case "issuer":
		err = parseOnce(d, &j.Issuer)
	case "audience":
		err = parseList(d, &j.Audiences)
	case "audience_claim":
		err = parseOnce(d, &j.AudienceClaim)
	case "subject_claim":
		err = parseOnce(d, &j.SubjectClaim)
	case "lifetime":
		err = j.parseLifetime(d)
	case "algorithms":
		err = parseList(d, &j.Algorithms)
	case "type":
		err = parseOnce(d, &j.Type)
	default:
		return false, nil
	}
	return true, err
}

// parseLifetime reads:
//
//	lifetime <duration>
func (j *SessionJWT) parseLifetime(d *caddyfile.Dispenser) error {
	if j.Lifetime != 0 {
		return d.Err("lifetime is set already")
	}
	var value string
	if err := parseOnce(d, &value); err != nil {
		return err
	}
	lifetime, err := caddy.ParseDuration(value)
	if err != nil || lifetime <= 0 || lifetime > maxLifetime {
		return d.Errf("lifetime %q: write a positive duration of at most %s, such as 12h or 14d", value, maxLifetime)
	}
	j.Lifetime = caddy.Duration(lifetime)
	return nil
}
