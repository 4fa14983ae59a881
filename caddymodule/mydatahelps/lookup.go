// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

var (
	errNoParticipant       = errors.New("no participant of the project has the value")
	errLooksLikeID         = errors.New("no participant of the project has the value, which has the form of a participant's ID (a GUID): did you mean participant_id?")
	errSeveralParticipants = errors.New("more than one participant has the value")
	errWithdrawn           = errors.New("the participant has withdrawn")
)

// errNoField returns the cause of a refusal where no participant at all has a custom
// field.
func errNoField(name string) error {
	return fmt.Errorf("no participant of the project has a text in the custom field %q: compare participant_field with the field's name in Designer, letter by letter", name)
}

// participantID returns the ID of the participant that a person is. The error is a
// [*delegation.Refusal], or that of ctx.
func (p *Provider) participantID(ctx context.Context, person delegation.Person, claim string) (string, error) {
	switch {
	case p.config.Participant.By == ByID:
		if !isGUID(claim) {
			return "", delegation.Refuse(delegation.ParticipantUnknown, errors.New("the session's value is no participant ID (a GUID); is it the participantIdentifier?"))
		}
		return claim, nil
	case p.config.Participant.By == ByIdentifier && !isPathSegment(claim), claim == "":
		return "", delegation.Refuse(delegation.ParticipantUnknown, errors.New("the session's value is empty or cannot be a participantIdentifier"))
	}
	if p.config.Participant.By == ByField {
		if err := p.confirmBinding(ctx, person, claim); err != nil {
			return "", err
		}
	}
	return p.cache.resolve(ctx, person, claim, func(ctx context.Context, useList bool) (id string, err error) {
		ctx = withOwner(ctx, p.cache.breakerOwner(person, claim))
		ctx, end := delegation.StartSpan(ctx, "delegate.lookup", attribute.String("delegate.provider", p.host.Name()))
		defer func() { end(err) }()
		if p.config.Participant.By == ByField {
			return p.findByField(ctx, person, claim, useList)
		}
		return p.findByIdentifier(ctx, person, claim, useList)
	})
}

func (p *Provider) findByIdentifier(ctx context.Context, person delegation.Person, claim string, useList bool) (string, error) {
	if !useList {
		return p.findSingle(ctx, claim)
	}
	e, err := p.listed(ctx, claim)
	switch {
	case errors.Is(err, errListTooLong):
		// The list takes more requests than are left. Those are for people who may be
		// participants.
		if err := p.cache.quota.spendPaced(p.cache.misses.missedBefore(person)); err != nil {
			return "", err
		}
		id, err := p.findSingle(ctx, claim)
		if err == nil {
			p.cache.quota.refundPaced()
		}
		return id, err
	case err != nil:
		return "", err
	case time.Since(e.readAt) >= recheckAge:
		// The list holds all that a single look-up would, as of when it was read. It
		// is believed for as long as a single look-up.
		return p.findSingle(ctx, claim)
	default:
		return active(e.id, e.withdrawn)
	}
}

// findSingle looks one participant up by a request of its own.
func (p *Provider) findSingle(ctx context.Context, claim string) (string, error) {
	found, err := p.participantByIdentifier(ctx, claim)
	switch {
	case errors.Is(err, errNotFound):
		return "", p.refuseNotFound(ctx, claim)
	case err != nil:
		return "", err
	case found.Identifier != claim:
		// A platform that cleans paths, ignores case or takes IDs as well could
		// otherwise make one user of the app another's participant.
		p.host.Logger().Error("the platform answered with another participant than was asked for; nobody was let in")
		return "", delegation.Refuse(delegation.ParticipantUnknown, errNoParticipant)
	case !isGUID(found.ID):
		return "", delegation.Refuse(delegation.IssuerUnavailable, errors.New("reading participants: a participant has no ID"))
	}
	return active(found.ID, found.withdrawn())
}

// active returns the ID of a participant who has not withdrawn.
func active(id string, withdrawn bool) (string, error) {
	if withdrawn {
		return "", delegation.Refuse(delegation.ParticipantWithdrawn, errWithdrawn)
	}
	return id, nil
}

func (p *Provider) findByField(ctx context.Context, person delegation.Person, claim string, useList bool) (string, error) {
	p.warnOfForeignBindings(ctx)
	begun := p.cache.bindings.releases()
	find := p.findListed
	if p.config.Participant.Query != "" && !useList {
		find = p.findQueried
	}
	id, err := find(ctx, claim)
	if err != nil {
		return "", err
	}
	if err := p.bindParticipant(ctx, person, id, begun); errors.Is(err, grants.ErrConflict) {
		p.host.Logger().Error("a signed-in user and the participant whose custom field names them do not belong together by what was seen first; the user is refused until the pin is released")
		return "", delegation.Refuse(delegation.AccountConflict, errors.New("the user or the participant is bound otherwise"))
	} else if err != nil {
		return "", err
	}
	return id, nil
}

// findQueried has the platform filter the list by the custom field. Its filter is not
// trusted: the values of the answer are compared again.
func (p *Provider) findQueried(ctx context.Context, claim string) (string, error) {
	people, total, err := p.participantList(ctx, 0, p.config.Participant.Query, claim)
	if err != nil {
		return "", err
	}
	var found []*participantRecord
	for i := range people {
		if people[i].field(p.config.Participant.Field) == claim && isGUID(people[i].ID) {
			found = append(found, &people[i])
		}
	}
	// A participant with the same value may be among those who were not returned.
	partial := total != nil && *total > len(people) || total == nil && len(people) >= pageSize
	if partial {
		p.host.Logger().Error("the platform's list does not seem to be filtered by participant_query; remove the setting or correct the parameter's name",
			zap.String("parameter", p.config.Participant.Query))
	}
	switch {
	case len(found) == 0:
		return "", delegation.Refuse(delegation.ParticipantUnknown, errNoParticipant)
	case len(found) > 1 || partial:
		return "", delegation.Refuse(delegation.ParticipantAmbiguous, errSeveralParticipants)
	}
	return active(found[0].ID, found[0].withdrawn())
}

// findListed finds the participant in the index and looks them up once more: the
// field may have changed since the list was read.
func (p *Provider) findListed(ctx context.Context, claim string) (string, error) {
	for range 2 {
		e, err := p.listed(ctx, claim)
		if errors.Is(err, errListTooLong) {
			return "", throttled(p.cache.quota.untilReset(), errListTooLong)
		}
		if err != nil {
			return "", err
		}
		if !isPathSegment(e.identifier) {
			return "", delegation.Refuse(delegation.ParticipantUnknown, errors.New("the participant's identifier cannot be asked for"))
		}
		found, err := p.participantByIdentifier(ctx, e.identifier)
		switch {
		case errors.Is(err, errNotFound):
			p.cache.removeFromList(e)
			continue
		case err != nil:
			return "", err
		case found.Identifier != e.identifier || !isGUID(found.ID):
			p.host.Logger().Error("the platform answered with another participant than was asked for; nobody was let in")
			return "", delegation.Refuse(delegation.ParticipantUnknown, errNoParticipant)
		case !strings.EqualFold(found.ID, e.id):
			p.cache.removeFromList(e)
		case found.field(p.config.Participant.Field) == claim:
			return active(found.ID, found.withdrawn())
		}
		p.cache.updateInList(found)
	}
	return "", delegation.Refuse(delegation.ParticipantUnknown, errNoParticipant)
}

// listed returns the one participant that the index has for the claim.
func (p *Provider) listed(ctx context.Context, claim string) (indexEntry, error) {
	read := func(ctx context.Context, number int) ([]participantRecord, *int, error) {
		if !p.cache.quota.canAfford(1) {
			return nil, nil, errListTooLong
		}
		return p.participantList(ctx, number, "", "")
	}
	whole := read
	if p.config.Participant.By == ByIdentifier {
		whole = p.cache.onlyWhole(read) // otherwise there are single look-ups
	}
	x, err := p.cache.ensureList(ctx, claimOf(p.config.Participant), whole)
	if err != nil {
		return indexEntry{}, err
	}
	p.cache.rereadList(x, read)
	found := x.find(claim)
	if len(found) == 0 {
		if err := p.cache.refreshListEnd(ctx, x, read); err != nil {
			return indexEntry{}, err
		}
		found = x.find(claim)
	}
	switch len(found) {
	case 0:
		if by := p.config.Participant; by.By == ByField && x.blank() {
			return indexEntry{}, delegation.Refuse(delegation.ParticipantUnknown, errNoField(by.Field))
		}
		return indexEntry{}, delegation.Refuse(delegation.ParticipantUnknown, p.notFoundCause(claim))
	case 1:
		return found[0], nil
	default:
		return indexEntry{}, delegation.Refuse(delegation.ParticipantAmbiguous, errSeveralParticipants)
	}
}

// claimOf returns the function that returns a participant's claim, for the index. It
// refers to nothing of the provider, because the index outlives it.
func claimOf(by Participant) func(*participantRecord) string {
	if by.By == ByField {
		name := by.Field
		return func(p *participantRecord) string { return p.field(name) }
	}
	return func(p *participantRecord) string { return p.Identifier }
}
