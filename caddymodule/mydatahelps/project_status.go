// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// projectStatus is whether the platform knows the project. The platform answers 404
// for an unknown project and for an unknown participant alike; only the participant
// list tells one from the other.
type projectStatus struct {
	mu      sync.Mutex
	known   bool      // the platform has answered for the project
	unknown bool      // it has answered 404 for it
	next    time.Time // when to ask again
}

// projectPause is how long an unknown project, or one that could not be asked about,
// is not asked about again: each question costs a request of the quota.
const projectPause = 30 * time.Second

var errProject = errors.New("the platform does not know the project: compare project with the project's ID in Designer, and base_url with the host that the project is served at")

func errUnknownProject() error { return delegation.Refuse(delegation.CredentialsRejected, errProject) }

// markKnown records that the platform has answered for the project.
func (k *projectStatus) markKnown() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.unknown = true, false
}

// shouldAsk reports whether to ask the platform now, and otherwise whether it is
// known not to know the project.
func (k *projectStatus) shouldAsk(now time.Time) (ask, unknown bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known || now.Before(k.next) {
		return false, k.unknown
	}
	k.next = now.Add(projectPause)
	return true, false
}

// markUnknown records that the platform does not know the project.
func (k *projectStatus) markUnknown() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unknown = true
}

// refuseNotFound returns the refusal for a participant for whom the platform answers
// 404.
func (p *Provider) refuseNotFound(ctx context.Context, claim string) error {
	k := &p.cache.project
	ask, unknown := k.shouldAsk(time.Now())
	if ask {
		unknown = errors.Is(p.findProject(ctx), errNotFound)
		if unknown {
			k.markUnknown()
		}
	}
	if unknown {
		return errUnknownProject()
	}
	return delegation.Refuse(delegation.ParticipantUnknown, p.notFoundCause(claim))
}

// notFoundCause returns what may be wrong with a claim that no participant has.
func (p *Provider) notFoundCause(claim string) error {
	if p.config.Participant.By == ByIdentifier && isGUID(claim) {
		return errLooksLikeID
	}
	return errNoParticipant
}

// findProject asks for the shortest possible list of participants. The error is
// errNotFound if the platform does not know the project.
func (p *Provider) findProject(ctx context.Context) error {
	query := url.Values{"pageNumber": {"0"}, "pageSize": {"1"}}
	var list struct{}
	return p.callAdministration(ctx, "?"+query.Encode(), maxListAnswer, &list)
}
