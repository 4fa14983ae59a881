// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestProjectUnknown protects operators from looking for a user who is no
// participant, where it is the project that the platform does not know. It
// answers 404 for both. The question costs one call in half a minute, however
// many people come, and none once the project has answered.
func TestProjectUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		pf.admin = func(*http.Request) *http.Response { return reply(404, "{}") }
		for i := range 20 {
			_, err := p.Authorize(t.Context(), request(fmt.Sprintf("planted-x%d", i)))
			if r := asRefusal(t, err); r.Code != delegation.CredentialsRejected || !strings.Contains(r.Unwrap().Error(), "does not know the project") {
				t.Fatalf("%v", r)
			}
		}
		if gets, lists, _, _ := pf.counts(); gets != 20 || lists != 1 {
			t.Errorf("%d lookups, %d pages", gets, lists)
		}
		// The operator mends it, or the platform does.
		pf.change(func() { pf.admin = nil })
		time.Sleep(time.Minute)
		for i := range 20 {
			wantParticipant(t, p, fmt.Sprintf("planted-y%d", i), "", delegation.ParticipantUnknown)
			time.Sleep(time.Minute)
		}
		wantParticipant(t, p, "planted-0", guid(0), "")
		if _, lists, _, _ := pf.counts(); lists != 2 {
			t.Errorf("%d pages; want no question about a project that has answered", lists)
		}
	})
}

// TestProjectNotReadable protects people from a service account that may read
// single participants and no list: whoever is none is told so, as before.
func TestProjectNotReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		pf.admin = func(req *http.Request) *http.Response {
			if strings.HasSuffix(req.URL.Path, "/participants") {
				return reply(403, "{}")
			}
			return nil
		}
		wantParticipant(t, p, "planted-nobody", "", delegation.ParticipantUnknown)
		wantParticipant(t, p, "planted-0", guid(0), "")
	})
}

// TestIdentifierIsGUID protects operators who have told the wrong way to find
// participants. The value is not logged.
func TestIdentifierIsGUID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := open(t, testConfig(ByIdentifier), newPlatform(people(1)...))
		_, err := p.Authorize(t.Context(), request(guid(0)))
		cause := asRefusal(t, err).Unwrap().Error()
		if !strings.Contains(cause, "did you mean participant_id?") || strings.Contains(cause, guid(0)) {
			t.Error(cause)
		}
	})
}
