// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// SessionJWT has sessions verified that are signed JSON Web Tokens, as
// RFC 8725 has it. They need `iss`, `aud`, `sub`, `exp` and `iat`. Clocks may
// differ by 30 s. A token is good for 30 days after its `iat` at most.
type SessionJWT struct {
	// JWKS is the address of the issuer's keys (RFC 7517): https, or http on
	// loopback. They are fetched when the first session is verified, again
	// when one names an unknown key, every 10 s at most, and every hour.
	// Accepts {env.*} and {file.*}.
	JWKS string `json:"jwks,omitempty"`

	// PublicKeys are the issuer's in PEM, or certificates. Give {file.*} or
	// {env.*}, or write them here.
	PublicKeys []string `json:"public_keys,omitempty"`

	// HMACSecrets are what app and server share: at least 32 bytes; two while
	// they change. Give {file.*} or {env.*}; a secret written here in clear
	// shows in the config API.
	HMACSecrets []string `json:"hmac_secrets,omitempty"`

	// Issuer is what `iss` has to be. Required. Accepts {env.*} and {file.*}.
	Issuer string `json:"issuer,omitempty"`

	// Audiences are those of which `aud` has to name one. Required. Accept
	// {env.*} and {file.*}.
	Audiences []string `json:"audiences,omitempty"`

	// Algorithms are those that may have been used. Default: for a JWKS those
	// of RSA, ECDSA and EdDSA; for public keys those they are for; for secrets
	// HS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// Type is what `typ` has to be, such as `at+jwt`. Default: `JWT`, `at+jwt`
	// or nothing.
	Type string `json:"type,omitempty"`
}

// remoteKeys are an issuer's keys in the pool.
type remoteKeys struct{ *session.Remote }

// Destruct runs when no configuration uses the keys any more.
func (k remoteKeys) Destruct() error { return k.Close() }

func (j *SessionJWT) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	v, keys, err := j.verifier(s.HTTP, &s.taken)
	if err != nil {
		return nil, err
	}
	s.gate.app.logoutRealms.addSession(v.Issuer, s.Realm)
	if s.Realm == "" {
		if err := s.gate.app.nameRealm(v.Issuer, "sub"); err != nil {
			return nil, err
		}
	}
	life := session.MaxAge
	if j.JWKS != "" {
		life = session.KeysAge // a key that is withdrawn must not be believed for longer
	}
	return s.verified(jwtSettings(v, keys), life, func() verified {
		return verified{Verifier: session.NewCache(v, revocations, life)}
	}), nil
}

// verifier also returns what names its keys.
func (j *SessionJWT) verifier(http *HTTP, taken *taken) (v *session.JWT, keys []string, err error) {
	if err := j.check(); err != nil {
		return nil, nil, err
	}
	repl := caddy.NewReplacer()
	v = &session.JWT{Type: j.Type}
	if v.Issuer, err = expand(repl, j.Issuer); err != nil {
		return nil, nil, fmt.Errorf("issuer: %w", err)
	}
	if v.Audiences, err = expandEach(repl, j.Audiences); err != nil {
		return nil, nil, fmt.Errorf("audience: %w", err)
	}
	var fitting []jose.SignatureAlgorithm
	switch {
	case j.JWKS != "":
		v.Keys, keys, err = j.remote(repl, http, taken)
		fitting, v.Algorithms = session.Asymmetric, session.Asymmetric
	case len(j.PublicKeys) > 0:
		keys = make([]string, len(j.PublicKeys))
		for i, setting := range j.PublicKeys {
			if keys[i], err = expandSecret(repl, setting); err != nil {
				return nil, nil, fmt.Errorf("public_key: %w", err)
			}
		}
		v.Keys, fitting, err = session.PublicKeys([]byte(strings.Join(keys, "\n")))
		v.Algorithms = fitting
	default:
		keys = make([]string, len(j.HMACSecrets))
		for i, setting := range j.HMACSecrets {
			if keys[i], err = expandSecret(repl, setting); err != nil {
				return nil, nil, fmt.Errorf("hmac_secret: %w", err)
			}
		}
		v.Keys, err = session.SharedSecrets(keys...)
		fitting, v.Algorithms = session.Symmetric, session.Symmetric[:1]
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", j.source(), err)
	}
	if len(j.Algorithms) > 0 {
		v.Algorithms = nil
	}
	for _, name := range j.Algorithms {
		if !slices.Contains(fitting, jose.SignatureAlgorithm(name)) {
			return nil, nil, fmt.Errorf("algorithm %s does not go with %s: use some of %v", name, j.source(), fitting)
		}
		v.Algorithms = append(v.Algorithms, jose.SignatureAlgorithm(name))
	}
	return v, append(keys, j.source()), nil
}

// remote finds or makes the keys that are fetched, and returns what names them.
// A reload does not fetch them again: the issuer may be down just then.
func (j *SessionJWT) remote(repl *caddy.Replacer, http *HTTP, taken *taken) (session.Keys, []string, error) {
	address, err := expand(repl, j.JWKS)
	if err != nil {
		return nil, nil, err
	}
	if err := checkAddress(address); err != nil {
		return nil, nil, err
	}
	settings, err := http.provision(repl)
	if err != nil {
		return nil, nil, err
	}
	connection, err := http.fingerprint(repl)
	if err != nil {
		return nil, nil, err
	}
	names := append([]string{address}, connection...)
	pooled := taken.take("keys\x00"+delegation.Fingerprint(names), func() caddy.Destructor {
		keys := session.NewRemote(address, settings.Client())
		keys.Client = clientAddress
		return remoteKeys{keys}
	})
	return pooled.(remoteKeys), names, nil
}

// checkAddress refuses an address whose answers somebody on the way could
// change. Private hosts are the operator's choice.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("write a URL such as https://login.example.org/jwks.json, without user or fragment")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return fmt.Errorf("%s: use https; http is for loopback only", u.Redacted())
	}
	return nil
}

// source is the word for where the keys come from.
func (j *SessionJWT) source() string {
	switch {
	case j.JWKS != "":
		return "jwks"
	case len(j.PublicKeys) > 0:
		return "public_key"
	default:
		return "hmac_secret"
	}
}

// check reports what is missing, and what is there twice.
func (j *SessionJWT) check() error {
	sources := 0
	for _, given := range []bool{j.JWKS != "", len(j.PublicKeys) > 0, len(j.HMACSecrets) > 0} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0:
		return errNoKind
	case sources > 1:
		// Whoever signs with a public key as if it were a secret must find
		// nobody to take it.
		return errors.New("jwks, public_key and hmac_secret exclude each other: choose one")
	case len(j.HMACSecrets) > 2:
		return errors.New("hmac_secret may stand twice, during rotation, not more")
	case j.Issuer == "":
		return errors.New("issuer is missing: what `iss` of your sessions says")
	case len(j.Audiences) == 0:
		return errors.New("audience is missing: what `aud` of your sessions says; without it a token for another app would let its user in here")
	}
	return nil
}

// fit reports settings that would have no effect.
func (j *SessionJWT) fit(http *HTTP) error {
	if http != nil && j.JWKS == "" {
		return errors.New("http has no effect: nobody is asked where the keys are given; remove it")
	}
	return nil
}

// parse reads one subdirective of app_session, if it is one of these.
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
		if err = parseOnce(d, &j.JWKS); err == nil && !strings.Contains(j.JWKS, "{") {
			if fault := checkAddress(j.JWKS); fault != nil {
				err = d.Errf("jwks: %v", fault)
			}
		}
	case "public_key":
		err = several(&j.PublicKeys)
	case "hmac_secret":
		err = several(&j.HMACSecrets)
	case "issuer":
		err = parseOnce(d, &j.Issuer)
	case "audience":
		err = parseList(d, &j.Audiences)
	case "algorithms":
		err = parseList(d, &j.Algorithms)
	case "type":
		err = parseOnce(d, &j.Type)
	default:
		return false, nil
	}
	return true, err
}
