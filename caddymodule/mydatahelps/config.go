// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The defaults of [Config].
const (
	DefaultBaseURL  = "https://mydatahelps.org"
	DefaultClientID = "MyDataHelps.DelegatedParticipant"
)

// The ways in which a participant is found, values of [Participant.By].
const (
	// ByID is by the participant's ID, a GUID, which is the claim.
	ByID = "id"
	// ByIdentifier is by the participantIdentifier, which is the claim.
	ByIdentifier = "identifier"
	// ByField is by the value of a custom field, which is the claim. A person is
	// bound to the first participant that they are found to be, and that
	// participant to the person; another one is refused with account_conflict
	// until [Provider.Unbind] or an operator's decision.
	ByField = "field"
)

// Config are the settings of one account at MyDataHelps, with placeholders expanded.
type Config struct {
	// BaseURL is the platform's base URL: https, or http on loopback, with a path
	// prefix if there is one. Token endpoint and API are below it. Default:
	// [DefaultBaseURL].
	BaseURL string
	// Project is the project's ID.
	Project string
	// Account is the service account's name.
	Account string
	// ClientID goes with requests for participant tokens. Default: [DefaultClientID].
	ClientID string
	// Keys are the service account's private keys: one, or two while they are rotated.
	Keys []*rsa.PrivateKey
	// LoadKeys reads the keys again before each service token: their files may have
	// changed. Nil: they do not change.
	LoadKeys func() ([]*rsa.PrivateKey, error)
	// Scopes are the default and the ceiling of participant tokens.
	Scopes []string
	// Participant is how a participant is found.
	Participant Participant
	// HTTP are the settings for connections to the platform; may be nil.
	HTTP *delegation.HTTP
}

// Participant is how the participant of a person is found.
type Participant struct {
	// By is one of [ByID], [ByIdentifier] and [ByField].
	By string
	// Field is the custom field's name, with ByField only.
	Field string
	// Query is the parameter by which the platform's participant list filters for
	// the field, with ByField only. Empty: an index of the whole list is kept.
	Query string
	// Claim is the placeholder for the value. Empty: the subject.
	Claim string
}

var (
	projectID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*$`)
	visible   = regexp.MustCompile(`^[\x21-\x7e]+$`)
	queryName = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]+$`)
)

// check sets the defaults, returns the base URL, and refuses settings that cannot
// work or are unsafe. Every error begins with the setting's name in the Caddyfile.
func (c *Config) check() (base *url.URL, err error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if base, err = parseBaseURL(c.BaseURL); err != nil {
		return nil, err
	}
	if c.ClientID == "" {
		c.ClientID = DefaultClientID
	}
	if err := c.CheckComplete(); err != nil {
		return nil, err
	}
	switch {
	case !projectID.MatchString(c.Project):
		return nil, errors.New("project is not an ID: give the project's ID alone, not its name or address")
	case !visible.MatchString(c.Account):
		return nil, errors.New("service_account holds a space or a character that no account name has: copy the name again")
	case !visible.MatchString(c.ClientID):
		return nil, fmt.Errorf("client_id holds a space or a character that no client ID has: leave it out for %s", DefaultClientID)
	}
	if err := checkKeys(c.Keys); err != nil {
		return nil, err
	}
	if c.Scopes, err = sortedScopes(c.Scopes); err != nil {
		return nil, err
	}
	return base, nil
}

func checkKeys(keys []*rsa.PrivateKey) error {
	if err := checkKeyCount(len(keys)); err != nil {
		return err
	}
	for _, key := range keys {
		if key == nil {
			return errNoKey
		}
	}
	if len(keys) == 2 && keys[0].PublicKey.Equal(&keys[1].PublicKey) {
		return errors.New("private_key is given twice with the same key: remove one, or give the new one")
	}
	return nil
}

func (p *Participant) check() error {
	switch p.By {
	case "":
		return errors.New("participant_identifier, participant_id or participant_field is missing: say how a user's participant is found")
	case ByID, ByIdentifier, ByField:
	default:
		return fmt.Errorf("participant_%s is not known: choose participant_identifier, participant_id or participant_field", p.By)
	}
	if p.By != ByField {
		switch {
		case p.Field != "":
			return fmt.Errorf("participant_%s takes no custom field: use participant_field", p.By)
		case p.Query != "":
			return errors.New("participant_query goes with participant_field only: remove it")
		}
		return nil
	}
	if p.Field == "" {
		return errors.New("participant_field needs the name of a custom field")
	}
	switch strings.ToLower(p.Query) {
	case "":
	case "pagenumber", "pagesize", "sortby", "sortascending":
		return fmt.Errorf("participant_query cannot be %s: that parameter pages the list", p.Query)
	default:
		if !queryName.MatchString(p.Query) {
			return errors.New("participant_query holds a character that no parameter has: give the parameter's name alone")
		}
	}
	return nil
}

// CheckBaseURL returns an error for an address that cannot be the base_url. It begins
// with that word.
func CheckBaseURL(address string) error {
	_, err := parseBaseURL(address)
	return err
}

func parseBaseURL(address string) (*url.URL, error) {
	return delegation.ParseBaseURL("base_url", DefaultBaseURL, address)
}

// fingerprint returns a hash over every setting.
func (c *Config) fingerprint() string {
	settings := [][]string{
		{"mydatahelps", c.BaseURL, c.Project, c.Account, c.ClientID},
		keyFingerprints(c.Keys),
		c.Scopes,
		{c.Participant.By, c.Participant.Field, c.Participant.Query, c.Participant.Claim},
	}
	settings = append(settings, c.HTTP.FingerprintParts())
	return delegation.Fingerprint(settings...)
}

// bindingKey returns a hash over what a binding depends on, which is the project
// alone: a person of the app is a participant of a project, by whatever field that
// was found out and by whatever address it is asked for. A binding that a change of
// settings ended would let an attacker who waits for it become somebody else.
func (c *Config) bindingKey() string {
	return delegation.Fingerprint([]string{"pins", strings.ToLower(c.Project)})
}

// keyFingerprints returns the SHA-256 of the keys' public halves.
func keyFingerprints(keys []*rsa.PrivateKey) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
		all[i] = hex.EncodeToString(sum[:])
	}
	return all
}
