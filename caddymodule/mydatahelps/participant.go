// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

const (
	maxIdentifier = 256
	maxAnswer     = 1 << 20
	maxListAnswer = 16 << 20 // a hundred participants with all their custom fields
)

// participant is what matters of a participant in the administrative API.
// Everything else is ignored: the platform adds fields without notice.
type participant struct {
	ID           string                     `json:"id"`
	Identifier   string                     `json:"participantIdentifier"`
	WithdrawDate any                        `json:"withdrawDate"`
	CustomFields map[string]json.RawMessage `json:"customFields"`
}

func (p *participant) withdrawn() bool { return p.WithdrawDate != nil }

// field is a custom field's value; "" if it is unset or no string.
func (p *participant) field(name string) string {
	var value string
	if json.Unmarshal(p.CustomFields[name], &value) != nil {
		return ""
	}
	return value
}

// isGUID tells whether s has the form 8-4-4-4-12 in hexadecimal digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

// isPathSegment tells whether s can be exactly one segment of a path and stay it,
// however often somebody on the way decodes and cleans it.
func isPathSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxIdentifier || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return policy.CheckFolding(s) == nil
}

var errNotFound = errors.New("not found")

// participantByIdentifier asks for one participant; errNotFound if there is none.
func (p *Provider) participantByIdentifier(ctx context.Context, identifier string) (*participant, error) {
	var found participant
	err := p.callAdministration(ctx, "/"+url.PathEscape(identifier), maxAnswer, &found)
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// participantList asks for a page of participants, oldest first.
func (p *Provider) participantList(ctx context.Context, number int, filter, value string) ([]participant, *int, error) {
	query := url.Values{
		"pageNumber":    {strconv.Itoa(number)},
		"pageSize":      {strconv.Itoa(pageSize)},
		"sortBy":        {"InsertedDate"},
		"sortAscending": {"true"},
	}
	if filter != "" {
		query.Set(filter, value)
	}
	var list struct {
		Total        *int           `json:"totalParticipants"`
		Participants *[]participant `json:"participants"`
	}
	if err := p.callAdministration(ctx, "?"+query.Encode(), maxListAnswer, &list); err != nil {
		if errors.Is(err, errNotFound) {
			return nil, nil, errUnknownProject()
		}
		return nil, nil, err
	}
	if list.Participants == nil {
		return nil, nil, delegation.Refuse(delegation.IssuerUnavailable, errors.New("the participant list holds no participants: check base_url"))
	}
	return *list.Participants, list.Total, nil
}

// callAdministration makes one administrative call below the project's participants.
// A service token that is no longer accepted is renewed once.
func (p *Provider) callAdministration(ctx context.Context, rest string, limit int64, into any) error {
	token, cached, err := p.serviceToken(ctx)
	if err != nil {
		return err
	}
	status, err := p.get(ctx, rest, token, limit, into)
	if err == nil && status == http.StatusUnauthorized && cached && p.cache.unauthorizedRenewals.Allow() {
		if token, err = p.renewServiceToken(ctx, token); err != nil {
			return err
		}
		status, err = p.get(ctx, rest, token, limit, into)
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		p.cache.project.markKnown()
		return nil
	case status == http.StatusNotFound:
		return errNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return delegation.Refuse(delegation.CredentialsRejected, fmt.Errorf("the platform does not let the service account read participants (status %d): check project and the account's permissions in it", status))
	default:
		return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("reading participants: the platform answered with status %d", status))
	}
}

// get makes one call. Only an answer of status 200 is read.
func (p *Provider) get(ctx context.Context, rest string, token *delegation.Token, limit int64, into any) (status int, err error) {
	quota, breaker, owner := p.cache.quota, p.cache.breaker, ownerFrom(ctx)
	pass, refused := breaker.Allow(owner)
	if refused != nil {
		return 0, refused
	}
	defer breaker.Release(pass)
	if err := quota.spend(); err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.participants+rest, nil)
	if err != nil {
		// Not wrapped: it names the address, which names the person.
		return 0, delegation.Refuse(delegation.ParticipantUnknown, errors.New("the value makes no address"))
	}
	req.Header.Set("Accept", "application/json")
	if err := (delegation.Bearer{Token: token}).Apply(req); err != nil {
		return 0, fmt.Errorf("reading participants: %w", err)
	}
	res, err := p.client.Do(req)
	if err != nil {
		r := noAnswerRefusal(err)
		breaker.Record(pass, owner, noAnswerVerdict(err, r))
		return 0, r
	}
	defer res.Body.Close()
	quota.observe(res.Header)
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		// The project's limit is said to be spent; any other is the person's,
		// or theirs who happened to ask.
		wait := oauth.RetryAfter(res.Header, time.Now())
		r := throttled(wait, errors.New("the platform limits administrative requests"))
		if remaining, ok := headerCount(res.Header, "RateLimit-Remaining"); ok && remaining == 0 {
			quota.exhaust(wait)
			breaker.Record(pass, owner, blame.Healthy())
		} else {
			breaker.Record(pass, owner, blame.ServiceFailed(r))
		}
		return 0, r
	case res.StatusCode >= http.StatusInternalServerError:
		breaker.Record(pass, owner, blame.ServiceFailed(delegation.Refuse(delegation.IssuerUnavailable, errors.New("reading participants: the platform keeps failing"))))
		return res.StatusCode, nil
	}
	breaker.Record(pass, owner, blame.Healthy())
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return 0, noAnswerRefusal(err)
	case int64(len(body)) > limit:
		return 0, delegation.Refuse(delegation.IssuerUnavailable, errors.New("reading participants: the answer is too large"))
	case json.Unmarshal(body, into) != nil:
		// Not wrapped: it may quote the answer.
		return 0, delegation.Refuse(delegation.IssuerUnavailable, errors.New("reading participants: the answer is not what the platform documents; check base_url"))
	}
	return http.StatusOK, nil
}

// noAnswerVerdict is the verdict of a call that got no answer.
func noAnswerVerdict(err error, r *delegation.Refusal) blame.Verdict {
	if neterror.NotSent(err) {
		return blame.Unreachable(r)
	}
	return blame.ServiceFailed(r)
}

type ownerKey struct{}

// withOwner returns a context that tells for whom the platform is asked.
func withOwner(ctx context.Context, o blame.Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, o)
}

// ownerFrom is nobody we know of if the context does not tell: reading the list
// is for people whom nobody has found yet.
func ownerFrom(ctx context.Context) blame.Owner {
	if o, ok := ctx.Value(ownerKey{}).(blame.Owner); ok {
		return o
	}
	return blame.Unverified
}

// noAnswerRefusal never wraps net/http's errors: they hold the address, and it the person.
func noAnswerRefusal(err error) *delegation.Refusal {
	return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("reading participants: %w", oauth.Unreachable(err)))
}
