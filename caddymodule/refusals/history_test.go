// SPDX-License-Identifier: Apache-2.0

package refusals

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestHistoryFind protects the operator's answer: it is about the request that was
// asked for, in the order in which it happened, and there is none about another.
func TestHistoryFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		began := time.Now().UTC()
		h.Add(Record{RequestID: "b", Code: delegation.UpstreamTimeout})
		time.Sleep(time.Second)
		h.Add(Record{RequestID: "a", Code: delegation.RouteDenied})
		time.Sleep(time.Second)
		h.Add(Record{RequestID: "b", Code: delegation.NotDelegated})
		found := h.Find("b")
		if len(found) != 2 || found[0].Step != StepUpstream || found[1].Step != StepWiring || !found[0].Time.Equal(began) || !h.Since().Equal(began) {
			t.Errorf("%+v since %s", found, h.Since())
		}
		if found := h.Find("c"); found == nil || len(found) != 0 {
			t.Errorf("%v", found)
		}
		if latest := h.Latest(2, ""); len(latest) != 2 || latest[0].RequestID != "b" || latest[1].RequestID != "a" {
			t.Errorf("%+v", latest)
		}
		if latest := h.Latest(9, delegation.UpstreamTimeout); len(latest) != 1 || latest[0].RequestID != "b" {
			t.Errorf("%+v", latest)
		}
	})
}

// TestHistoryIsBounded protects the process's memory, and the refusal that an
// operator looks for, from a flood of others that anybody can send: each code has
// a share, and a cause a bound.
func TestHistoryIsBounded(t *testing.T) {
	h := NewHistory()
	h.Add(Record{RequestID: "wanted", Code: delegation.ParticipantUnknown, Cause: strings.Repeat("ä", maxCause)})
	for i := range 3*PerCode + 1 {
		h.Add(Record{RequestID: fmt.Sprint(i), Code: delegation.SessionRequired})
	}
	found := h.Find("wanted")
	if len(found) != 1 || len(found[0].Cause) > maxCause || !utf8.ValidString(found[0].Cause) || !strings.HasSuffix(found[0].Cause, "ä…") {
		t.Errorf("%+v", found)
	}
	if latest := h.Latest(10*PerCode, ""); len(latest) != PerCode+1 {
		t.Errorf("%d are kept", len(latest))
	}
	if len(h.Find(fmt.Sprint(3*PerCode))) != 1 || len(h.Find(fmt.Sprint(2*PerCode+1))) != 1 || len(h.Find(fmt.Sprint(2*PerCode))) != 0 {
		t.Error("it is not the newest that are kept")
	}
}

// TestHistoryAtOnce protects the process from requests that are refused while an
// operator asks. It needs the race detector.
func TestHistoryAtOnce(t *testing.T) {
	h := NewHistory()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 2 * PerCode {
				h.Add(Record{RequestID: fmt.Sprint(i), Code: delegation.RouteDenied})
			}
		})
		group.Go(func() { h.Find("1"); h.Latest(5, "") })
	}
	group.Wait()
	if latest := h.Latest(2*PerCode, ""); len(latest) != PerCode {
		t.Errorf("%d are kept", len(latest))
	}
}
