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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

var errNotFound = errors.New("not found")

// participantByIdentifier returns one participant. The error is errNotFound if there
// is none.
func (p *Provider) participantByIdentifier(ctx context.Context, identifier string) (*participantRecord, error) {
	var found participantRecord
	err := p.callAdministration(ctx, "/"+url.PathEscape(identifier), maxAnswer, &found)
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// participantList returns a page of participants, oldest first, and how many there
// are in all; nil if the platform does not say. filter is a parameter of the list,
// or empty.
func (p *Provider) participantList(ctx context.Context, number int, filter, value string) ([]participantRecord, *int, error) {
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
		Total        *int                 `json:"totalParticipants"`
		Participants *[]participantRecord `json:"participants"`
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

// callAdministration makes one call of the administrative API, below the project's
// participants, and decodes the answer. A service token that is not accepted any
// more is renewed once. The error is errNotFound for status 404.
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

// get makes one call and returns the status. Only an answer of status 200 is
// decoded.
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
		// Not wrapped: it quotes the URL, which names the person.
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
		// If the answer says that the project's limit is spent, the quota knows.
		// Any other limit may be the person's own.
		wait := oauth.RetryAfter(res.Header, time.Now())
		r := throttled(wait, errors.New("the platform limits administrative requests"))
		if remaining, ok := headerCount(res.Header, "RateLimit-Remaining"); ok && remaining == 0 {
			quota.exhaust(wait)
			breaker.Record(pass, owner, circuit.Healthy())
		} else {
			breaker.Record(pass, owner, circuit.ServiceFailed(r))
		}
		return 0, r
	case res.StatusCode >= http.StatusInternalServerError:
		breaker.Record(pass, owner, circuit.ServiceFailed(delegation.Refuse(delegation.IssuerUnavailable, errors.New("reading participants: the platform keeps failing"))))
		return res.StatusCode, nil
	}
	breaker.Record(pass, owner, circuit.Healthy())
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

// noAnswerVerdict returns the verdict of a call that got no answer.
func noAnswerVerdict(err error, r *delegation.Refusal) circuit.Verdict {
	if neterror.NotSent(err) {
		return circuit.Unreachable(r)
	}
	return circuit.ServiceFailed(r)
}

// ownerKey is the key of the owner in a context.
type ownerKey struct{}

// withOwner returns a context with the owner for whom the platform is asked.
func withOwner(ctx context.Context, o circuit.Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, o)
}

// ownerFrom returns the context's owner, or [circuit.Unverified]: the list is read for
// people whom nobody has found yet.
func ownerFrom(ctx context.Context) circuit.Owner {
	if o, ok := ctx.Value(ownerKey{}).(circuit.Owner); ok {
		return o
	}
	return circuit.Unverified
}

// noAnswerRefusal returns the refusal for a call that got no answer. It never wraps
// errors of net/http: they quote the URL, which names the person.
func noAnswerRefusal(err error) *delegation.Refusal {
	return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("reading participants: %w", oauth.Unreachable(err)))
}
