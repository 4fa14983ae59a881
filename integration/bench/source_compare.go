// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// compareSources measures calls to sources beside those to MyDataHelps.
func (b *bench) compareSources(ctx context.Context) error {
	return b.compareAll(ctx, []*contender{
		{name: connectBaseName, users: 1000, start: startConnectBase},
		{name: "`delegate_proxy`, source of OAuth 2.0, 1 000 people", users: 1000, ours: true, start: startSource("city_lab")},
		{name: "`delegate_proxy`, source of OAuth 1.0a, 1 000 people", users: 1000, ours: true, least: 0.85, start: startSource("old_lab")},
	})
}

// startSource starts this module before a source, and connects everybody. The data is
// the upstream's, the consents are a simulated vendor's.
func startSource(preset string) func(context.Context, *bench, *upstreams) (*server, error) {
	return func(ctx context.Context, b *bench, up *upstreams) (*server, error) {
		const people = 1000
		v, err := b.vendor(preset, people)
		if err != nil {
			return nil, err
		}
		s := &sourceStage{vendor: v, users: userIDs(people)}
		options, err := b.grantsOptions(ctx, s, sourcePlay{sqlite: true})
		if err != nil {
			return nil, err
		}
		proxy, err := b.caddy(ctx, "source", sourceConfig(v.source(up.platform+"/"+sourceName, ""), options))
		if err != nil {
			return nil, err
		}
		s.servers = []*server{proxy}
		if err := s.connectAll(ctx); err != nil {
			return nil, fmt.Errorf("connecting people: %w", err)
		}
		return proxy, nil
	}
}
