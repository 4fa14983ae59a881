// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkedConfig is a configuration that was read to be checked. Of it the delegate app
// is provisioned and nothing else.
type checkedConfig struct {
	ctx      caddy.Context
	app      *App
	cache    *Cache // which the app is provisioned without
	handlers []placedHandler
	policies map[string][]routePolicy // by provider
}

// load reads the configuration. The app is provisioned without the cache, so
// that tokens are got as if nobody had any: what others have minted shows
// nothing.
func load(c command.Config) (*checkedConfig, error) {
	text, settings, err := readConfig(c)
	if err != nil {
		return nil, err
	}
	l := &checkedConfig{policies: make(map[string][]routePolicy)}
	if raw := settings["cache"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &l.cache); err != nil {
			return nil, errors.New("the configuration's delegate: cache is not as it should be: see `caddy validate`")
		}
		delete(settings, "cache")
	}
	alone, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	if l.ctx, err = caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}},
		AppsRaw: caddy.ModuleMap{"delegate": alone},
	}); err != nil {
		return nil, err
	}
	if l.app, err = configuredApp(l.ctx); err != nil {
		return nil, err
	}
	if l.handlers, err = findHandlers(text); err != nil {
		return nil, err
	}
	for _, p := range l.handlers {
		if p.name() == "delegate" {
			err = errors.Join(err, l.addPolicy(p.node))
		}
	}
	return l, err
}

func (l *checkedConfig) addPolicy(node map[string]any) error {
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	var h Handler
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("reading a delegate handler: %w", err)
	}
	p, ok := l.app.providers[h.Provider]
	if !ok {
		return fmt.Errorf("a directive names the unknown provider %q", h.Provider)
	}
	table, err := compilePolicy(h.Allow, p)
	policy := routePolicy{Table: table}
	for _, a := range h.Allow {
		policy.lines = append(policy.lines, delegation.Route{Methods: a.Methods, Pattern: a.Path, Scopes: a.Scopes})
	}
	l.policies[h.Provider] = append(l.policies[h.Provider], policy)
	return err
}

// placedHandler is where a handler stands in the configuration, and what a request has
// met before it.
type placedHandler struct {
	node   map[string]any
	before []map[string]any
	never  []unmatched // what would stand before it, if its matcher ever matched
	under  string      // the path of the innermost matcher that names one
	hosts  []string    // those of the innermost matcher that names some
}

func (p *placedHandler) name() string { return text(p.node, "handler") }

// settings are the handler's own, as its module reads them.
func (p *placedHandler) settings() (json.RawMessage, error) {
	own := maps.Clone(p.node)
	delete(own, "handler")
	return json.Marshal(own)
}

// text is a string of a JSON object; "" if it is none.
func text(node map[string]any, name string) string {
	s, _ := node[name].(string)
	return s
}

// findHandlers walks the servers of a configuration as a request would, and
// returns all handlers.
func findHandlers(config []byte) ([]placedHandler, error) {
	var tree struct {
		Apps struct {
			HTTP struct {
				Servers map[string]map[string]any `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	var w handlerWalk
	for _, name := range slices.Sorted(maps.Keys(tree.Apps.HTTP.Servers)) {
		server := tree.Apps.HTTP.Servers[name]
		w.routes(server["routes"], nil)
		if errs, ok := server["errors"].(map[string]any); ok {
			w.routes(errs["routes"], nil)
		}
		if named, ok := server["named_routes"].(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(named)) {
				w.routes([]any{named[name]}, nil)
			}
		}
	}
	return w.found, nil
}

type handlerWalk struct {
	found []placedHandler
	never []unmatched
	under string
	hosts []string
}

// routes returns what a request has met behind the routes. Of a group only one
// runs, and none runs behind one that is terminal.
func (w *handlerWalk) routes(list any, before []map[string]any) []map[string]any {
	routes, _ := list.([]any)
	defer func(outside int) { w.never = w.never[:outside] }(len(w.never))
	for _, r := range routes {
		route, _ := r.(map[string]any)
		if pattern, prefix := strippedMatcher(route["match"], before); pattern != "" {
			w.handlers(route["handle"], before)
			w.never = append(w.never, unmatched{pattern: pattern, prefix: prefix, handlers: route["handle"]})
			continue
		}
		under, hosts := w.under, w.hosts
		if path := onlyPath(route["match"]); path != "" {
			w.under = path
		}
		if named := matchedHosts(route["match"]); len(named) > 0 {
			w.hosts = named
		}
		out := w.handlers(route["handle"], before)
		w.under, w.hosts = under, hosts
		if terminal, _ := route["terminal"].(bool); !terminal && text(route, "group") == "" {
			before = out
		}
	}
	return before
}

func (w *handlerWalk) handlers(list any, before []map[string]any) []map[string]any {
	handlers, _ := list.([]any)
	for _, h := range handlers {
		node, _ := h.(map[string]any)
		w.found = append(w.found, placedHandler{node, before, slices.Clone(w.never), w.under, w.hosts})
		before = append(slices.Clone(before), node)
		switch text(node, "handler") {
		case "subroute":
			before = w.routes(node["routes"], before)
			if errs, ok := node["errors"].(map[string]any); ok {
				w.routes(errs["routes"], before)
			}
		case "reverse_proxy", "intercept":
			responses, _ := node["handle_response"].([]any)
			for _, r := range responses {
				response, _ := r.(map[string]any)
				w.routes(response["routes"], before)
			}
		}
	}
	return before
}
