// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// storedResult is a [PendingResult] in a flow's row, before it is sealed. When the
// flow has ended only its digest is left, by which the same result is told from
// another: the credential is in the grant then, and deleted with it.
type storedResult struct {
	Account  string            `json:"account,omitempty"`
	Label    string            `json:"label,omitempty"`
	Scopes   []string          `json:"scopes,omitzero"`
	Vendor   string            `json:"vendor,omitempty"`
	Client   string            `json:"client,omitempty"`
	Secret   []byte            `json:"secret,omitempty"` // bytes, because JSON replaces what is not UTF-8
	Tokens   storedTokens      `json:"tokens,omitzero"`
	Reply    map[string]string `json:"reply,omitempty"`
	Sequence int64             `json:"at"` // when it was handed over, see [Store.nextSequence]
	// Digest is that of account, secret and tokens, once these are gone.
	Digest []byte `json:"sum,omitempty"`
	// Reason is why the flow has led to nothing; empty otherwise.
	Reason string `json:"reason,omitempty"`
	// Outcome is why a result was not used, see outcomeNames; empty otherwise.
	Outcome string `json:"outcome,omitempty"`
}

// outcomeNames are the errors of [Store.Complete] about a result that is not used,
// as a flow that has ended keeps them.
var outcomeNames = map[string]error{
	"conflict": ErrConflict, "other_account": ErrOtherAccount, "probe_refused": ErrProbeRefused, "no_grant": ErrNotFound,
}

func outcomeName(outcome error) string {
	for name, err := range outcomeNames {
		if errors.Is(outcome, err) {
			return name
		}
	}
	return ""
}

func (t storedResult) outcome() error { return outcomeNames[t.Outcome] }

func newStoredResult(r PendingResult) storedResult {
	return storedResult{
		Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: r.Vendor, Client: r.Client, Secret: []byte(r.Secret.Reveal()), Tokens: newStoredTokens(r.Tokens), Reply: r.Reply,
	}
}

func (t storedResult) isZero() bool { return t.Sequence == 0 && t.Reason == "" }

// resultDigest is a SHA-256 over account, secret and tokens. It is kept sealed.
func resultDigest(account string, secret []byte, tokens storedTokens) []byte {
	parts := []string{account, string(secret)}
	if len(tokens.Access)+len(tokens.Refresh) > 0 { // which older programs did not know
		parts = append(parts, string(tokens.Access), string(tokens.Refresh))
	}
	sum := sha256.Sum256(tuple.Encode(parts...))
	return sum[:]
}

// digestOnly returns the part of a result that stays when its flow has ended.
func (t storedResult) digestOnly() storedResult {
	return storedResult{Sequence: t.Sequence, Digest: resultDigest(t.Account, t.Secret, t.Tokens), Reply: t.Reply, Reason: t.Reason}
}

// equals tells whether the platform has handed over the same before.
func (t storedResult) equals(what PendingResult) bool {
	sum := t.Digest
	if sum == nil {
		sum = resultDigest(t.Account, t.Secret, t.Tokens)
	}
	return subtle.ConstantTimeCompare(sum, resultDigest(what.Account, []byte(what.Secret.Reveal()), newStoredTokens(what.Tokens))) == 1
}

// storedSecret is what a flow keeps for whoever redeems, before it is sealed.
type storedSecret struct {
	Scopes    []string `json:"scopes,omitempty"`
	ReturnURL string   `json:"return_url,omitempty"`
	Verifier  []byte   `json:"verifier,omitempty"`
	Secret    []byte   `json:"secret,omitempty"`
	Ends      int64    `json:"ends,omitempty"` // of the grant, in milliseconds
	Page      string   `json:"page,omitempty"` // of a ticket, and the next
	User      string   `json:"user,omitempty"`
}

// newStoredSecret is empty for a flow in which nothing is redeemed.
func newStoredSecret(f *Flow) storedSecret {
	if f.Mode == FlowCallback {
		return storedSecret{}
	}
	stored := storedSecret{Scopes: f.Scopes, ReturnURL: f.ReturnURL, Verifier: []byte(f.Verifier.Reveal()), Secret: []byte(f.Secret.Reveal()), Ends: optionalMillis(f.Ends)}
	if f.Ticket && f.Mode == FlowRedirect {
		stored.Page, stored.User = f.Page, f.User
	}
	return stored
}

func (t storedSecret) isZero() bool {
	return len(t.Scopes)+len(t.ReturnURL)+len(t.Verifier)+len(t.Secret)+len(t.Page)+len(t.User) == 0 && t.Ends == 0
}
