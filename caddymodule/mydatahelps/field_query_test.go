// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Where the operator knows the platform's filter it is used, and what it lets
// through is compared again.
func TestFieldQuery(t *testing.T) {
	c := testConfig(ByField)
	c.Participant.Query = "customField.appUser"
	for name, test := range map[string]struct {
		filter  string
		people  []person
		id      string
		code    delegation.Code
		operate bool // the operator is told
	}{
		"found":              {"customField.appUser", people(300), guid(0), "", false},
		"not found":          {"customField.appUser", people(300)[1:], "", delegation.ParticipantUnknown, false},
		"two":                {"customField.appUser", append(people(300), person{id: guid(900), identifier: "planted-900", field: "planted-0"}), "", delegation.ParticipantAmbiguous, false},
		"withdrawn":          {"customField.appUser", []person{{id: guid(0), identifier: "planted-0", field: "planted-0", withdrawn: "x"}}, "", delegation.ParticipantWithdrawn, false},
		"no ID":              {"customField.appUser", []person{{id: "0", identifier: "planted-0", field: "planted-0"}}, "", delegation.ParticipantUnknown, false},
		"ignored, few":       {"", people(50), guid(0), "", false},
		"ignored, not found": {"", people(300)[1:], "", delegation.ParticipantUnknown, true},
		"ignored, found":     {"", people(300), "", delegation.ParticipantAmbiguous, true}, // another may be on the next page
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(test.people...)
				pf.filter = test.filter
				p, h := open(t, c, pf)
				wantParticipant(t, p, "planted-0", test.id, test.code)
				gets, lists, _, _ := pf.counts()
				if gets != 0 || lists != 1 || pf.lists[0].Get("customField.appUser") != "planted-0" || pf.lists[0].Get("pageSize") != "100" {
					t.Errorf("%d lookups, pages %v", gets, pf.lists)
				}
				if told := h.logs.FilterMessageSnippet("participant_query").Len() > 0; told != test.operate {
					t.Errorf("log %v", h.logs.All())
				}
			})
		})
	}
}

// Strangers cannot spend the quota by way of the filter either.
func TestFieldQueryStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(50)...)
		pf.filter = "q"
		c := testConfig(ByField)
		c.Participant.Query = "q"
		p, _ := open(t, c, pf)
		for i := range 400 {
			wantParticipant(t, p, fmt.Sprintf("planted-stranger-%d", i), "", delegation.ParticipantUnknown)
		}
		if _, lists, _, _ := pf.counts(); lists != 201 {
			t.Errorf("%d pages", lists)
		}
		wantParticipant(t, p, "planted-7", guid(7), "")
	})
}
