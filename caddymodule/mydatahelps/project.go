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

// projectKnowledge is whether the platform knows the project. It answers 404
// for a project that it does not know and for a participant alike; only the
// participant list tells one from the other.
type projectKnowledge struct {
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

// confirm notes that the platform has answered for the project.
func (k *projectKnowledge) confirm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.unknown = true, false
}

// due tells whether to ask now, and otherwise what is known.
func (k *projectKnowledge) due(now time.Time) (ask, unknown bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known || now.Before(k.next) {
		return false, k.unknown
	}
	k.next = now.Add(projectPause)
	return true, false
}

func (k *projectKnowledge) deny() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unknown = true
}

// nobody is the refusal for a participant whom the platform answers 404 for.
func (p *Provider) nobody(ctx context.Context, claim string) error {
	k := &p.directory.project
	ask, unknown := k.due(time.Now())
	if ask {
		unknown = errors.Is(p.findProject(ctx), errNotFound)
		if unknown {
			k.deny()
		}
	}
	if unknown {
		return errUnknownProject()
	}
	return delegation.Refuse(delegation.ParticipantUnknown, p.causeOfNobody(claim))
}

// causeOfNobody says what may be wrong with a value that no participant has.
func (p *Provider) causeOfNobody(claim string) error {
	if p.config.Participant.By == ByIdentifier && isGUID(claim) {
		return errGUID
	}
	return errNobody
}

// findProject asks for the shortest list of participants there is; errNotFound
// if the platform does not know the project.
func (p *Provider) findProject(ctx context.Context) error {
	query := url.Values{"pageNumber": {"0"}, "pageSize": {"1"}}
	var list struct{}
	return p.administer(ctx, "?"+query.Encode(), maxListAnswer, &list)
}
