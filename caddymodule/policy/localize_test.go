// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestLocalize protects a browser from being led to another host with what its
// path holds, or as the app's own user.
func TestLocalize(t *testing.T) {
	m := Mount{Scheme: "https", Host: "api.example.org", Prefix: "/base", Path: "/x/1", Received: "/mdh/x/1", Forwarded: "/x/1"}
	for name, c := range map[string]struct {
		status int
		in     http.Header
		want   http.Header // nil: refused
	}{
		"redirect below":      {302, http.Header{"Location": {"https://api.example.org/base/x/2"}}, http.Header{"Location": {"/mdh/x/2"}}},
		"redirect elsewhere":  {302, http.Header{"Location": {"https://evil.example.org/base/x/2"}}, nil},
		"redirect out of it":  {307, http.Header{"Location": {"/other"}}, nil},
		"redirect twice":      {302, http.Header{"Location": {"/base/x/2", "/base/x/3"}}, nil},
		"created below":       {201, http.Header{"Location": {"/base/x/2"}}, http.Header{"Location": {"/mdh/x/2"}}},
		"created elsewhere":   {201, http.Header{"Location": {"https://evil.example.org/"}}, http.Header{}},
		"content below":       {200, http.Header{"Content-Location": {"/base/x/2"}}, http.Header{"Content-Location": {"/mdh/x/2"}}},
		"content elsewhere":   {302, http.Header{"Content-Location": {"https://evil.example.org/"}}, http.Header{}},
		"link below":          {200, http.Header{"Link": {"</base/x/2>; rel=next"}}, http.Header{"Link": {"</mdh/x/2>; rel=next"}}},
		"link elsewhere":      {200, http.Header{"Link": {"<https://evil.example.org/>; rel=next"}}, http.Header{}},
		"nothing of the kind": {200, http.Header{"X-Other": {"/base"}}, http.Header{"X-Other": {"/base"}}},
	} {
		err := m.Localize(c.in, c.status)
		if c.want == nil {
			if err == nil || delegation.AsRefusal(err).Code != delegation.UpstreamRedirected {
				t.Errorf("%s: %v, %v", name, c.in, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(c.in, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, c.in, err, c.want)
		}
	}
	h := http.Header{"Location": {"/a"}, "Content-Location": {"/b"}, "Link": {"</c>"}, "Date": {"now"}}
	if !HasAddresses(h) {
		t.Error("no address is seen")
	}
	if RemoveAddresses(h); HasAddresses(h) || len(h) != 1 {
		t.Errorf("%v", h)
	}
}
