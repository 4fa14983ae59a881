// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsConnectEndpoints protects frontend developers: the page has every path
// and method of delegate_connect, and no others, for all kinds of platforms: those
// with a page of their own, those whose widget stands in the app's page, and data
// sources.
func TestDocsConnectEndpoints(t *testing.T) {
	table := rows(documents(t)[directivesPage], "## `delegate_connect`")
	for span := range table {
		if !strings.Contains(span, "/") && !slices.Contains([]string{"PUT"}, span) {
			delete(table, span) // a setting
		}
	}
	path := regexp.MustCompile(`^/[a-z.]*$`)
	answered := make(map[string]int) // endpoints, to a status of theirs
	for at, start := range map[string]func() *connection{
		"/connect/mydex":  func() *connection { return startMydex(t, "", "") },
		"/connect/widget": func() *connection { return startWidget(t).connection },
		"/connect":        func() *connection { return startSources(t, "logo "+newLogo(t), "page").connection },
	} {
		b := start().browser("alice")
		for _, literal := range sourceCode(t).literals {
			if !path.MatchString(literal) {
				continue
			}
			targets := map[string]string{literal: literal}
			switch {
			case literal == "/go":
				targets = map[string]string{literal + "/city_lab.ticket": literal + "/<ticket>"}
			case at == "/connect":
				targets[strings.TrimSuffix(literal, "/")+"/city_lab"] = strings.TrimSuffix(literal, "/") + "/<source>"
			case literal == "/callback":
				targets = map[string]string{literal + "/" + mydexSegment: literal + "/<segment>"}
			case literal == "/redeem":
				targets[literal+"/ticket"] = literal + "/<ticket>"
			}
			for target, endpoint := range targets {
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
					a := b.do(method, at+target, "")
					if details := a.Header.Get("Proxy-Status"); a.StatusCode == http.StatusNotFound || strings.Contains(details, "route_denied") || a.StatusCode == http.StatusMethodNotAllowed {
						continue
					}
					if method == http.MethodPut && literal == "/callback" {
						answered["PUT"] = a.StatusCode
						continue
					}
					answered[method+" "+endpoint] = a.StatusCode
				}
			}
		}
	}
	for endpoint, status := range answered {
		if _, ok := table[endpoint]; !ok {
			t.Errorf("%s is answered with %d, and the table does not have it", endpoint, status)
		}
		delete(table, endpoint)
	}
	for endpoint := range table {
		t.Errorf("the table has %s, which there is not", endpoint)
	}
	if len(answered) < 10 {
		t.Errorf("%d endpoints were found", len(answered))
	}
}
