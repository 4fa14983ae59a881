// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"
)

// The endpoints of a provider with data sources, beside those of all providers.
const (
	logoPath       = "/logo"
	pagePath       = "/"
	styleSheetPath = "/style.css"
	pageScriptPath = "/page.js"
)

// endpointWords are the names that no data source may have: `DELETE /<source>` stands
// beside the endpoints, of which some are for providers of another kind.
var endpointWords = []string{
	"start", "update", "return", "status", "disconnect", "logo", "redeem", "callback", "go", "finish", "confirm",
}

// splitSourcePath splits a path into the endpoint and the name of the source behind
// it: /start/lab, and / and lab for the path /lab. Without a name the request is for
// all sources.
func splitSourcePath(path string) (endpoint, source string) {
	first, rest, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case found && first != "" && rest != "":
		return "/" + first, rest
	case found || first == "" || strings.Contains(first, ".") || slices.Contains(endpointWords, first):
		return path, ""
	default:
		return pagePath, first
	}
}

// sourceRoutes returns the endpoints of a provider with data sources, for the source
// of the request or for all, with their methods and what serves them.
func (v *connectRequest) sourceRoutes() map[string]map[string]func() error {
	if v.source == nil {
		return map[string]map[string]func() error{
			"/status":     {http.MethodGet: v.sourcesStatus},
			pagePath:      {http.MethodDelete: v.disconnect},
			"/disconnect": {http.MethodPost: v.disconnectByForm},
			finishPath:    {http.MethodPost: v.finish},
			goPath:        {}, // GET comes before the session
		}
	}
	return map[string]map[string]func() error{
		"/start":      {http.MethodPost: v.start},
		"/update":     {http.MethodPost: v.update},
		"/status":     {http.MethodGet: v.sourcesStatus},
		returnPath:    {}, // GET comes before the session
		goPath:        {},
		pagePath:      {http.MethodDelete: v.disconnect},
		"/disconnect": {http.MethodPost: v.disconnectByForm},
	}
}
