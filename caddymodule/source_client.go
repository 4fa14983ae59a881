// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// useClient sets what an application has of its own at a source that is complete; client
// may be nil. The error is about scopes that are not the source's: the catalogue says
// what people may be asked for at most.
func (s *Source) useClient(client *SourceClient) error {
	if client == nil {
		return nil
	}
	if client.ClientID != "" {
		s.ClientID, s.ClientSecret, s.ClientKey = client.ClientID, client.ClientSecret, client.ClientKey
	}
	if len(client.Scopes) == 0 {
		return nil
	}
	if len(s.Scopes) == 0 || s.Scopes[0] == "none" {
		return fmt.Errorf("scopes: the source has none: add those of its vendor to the source, of which %s are some", strings.Join(client.Scopes, " "))
	}
	covers := sources.Covers(s.Covers)
	if covers == "" && s.FHIRBase != "" {
		covers = sources.CoversSMART
	}
	if missing := covers.Missing(s.Scopes, client.Scopes); missing != nil {
		return fmt.Errorf("scopes: the source does not have %s: add it to the line `scopes` of the source, or name some of %s", strings.Join(missing, " "), strings.Join(s.Scopes, " "))
	}
	s.Scopes = client.Scopes
	return nil
}
