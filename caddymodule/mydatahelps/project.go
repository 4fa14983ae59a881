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

// projectStatus is whether the platform knows the project. It answers 404
// for a project that it does not know and for a participant alike; only the
// participant list tells one from the other.
type projectStatus struct {
	mu      sync.Mutex
	known   bool      // the platform has answered for the project
	unknown bool      // it has not, when it was asked last
	next    time.Time // when to ask again
}

// projectPause is how long what was found out of a project counts that is not
// known, or could not be asked about: each question costs one of the quota.
const projectPause = 30 * time.Second

var errProject = errors.New("the platform does not know the project: compare project with the project's ID in Designer, and base_url with the host that the project is served at")

func errUnknownProject() error { return delegation.Refuse(delegation.CredentialsRejected, errProject) }

// markKnown notes that the platform has answered for the project.
func (k *projectStatus) markKnown() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.unknown = true, false
}

// shouldAsk tells whether to ask now, and otherwise what is known.
func (k *projectStatus) shouldAsk(now time.Time) (ask, unknown bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known || now.Before(k.next) {
		return false, k.unknown
	}
	k.next = now.Add(projectPause)
	return true, false
}

func (k *projectStatus) markUnknown() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unknown = true
}

// refuseNotFound is the refusal for a participant whom the platform answers 404 for.
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

// notFoundCause says what may be wrong with a value that no participant has.
func (p *Provider) notFoundCause(claim string) error {
	if p.config.Participant.By == ByIdentifier && isGUID(claim) {
		return errLooksLikeID
	}
	return errNoParticipant
}

// findProject asks for the shortest list of participants there is; errNotFound
// if the platform does not know the project.
func (p *Provider) findProject(ctx context.Context) error {
	query := url.Values{"pageNumber": {"0"}, "pageSize": {"1"}}
	var list struct{}
	return p.callAdministration(ctx, "?"+query.Encode(), maxListAnswer, &list)
}
