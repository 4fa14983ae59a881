// SPDX-License-Identifier: Apache-2.0

package connect

import "cmp"

// Names are the names of the fields on the wire.
type Names struct {
	Token   string `json:"token,omitempty"`   // one-time token
	Account string `json:"account,omitempty"` // permanent ID of the person at the platform
	Access  string `json:"access,omitempty"`  // access token, in the exchange's answer
	User    string `json:"user,omitempty"`    // ID of the person at the application
	Client  string `json:"client,omitempty"`  // ID of the application
	Secret  string `json:"secret,omitempty"`  // secret of the application
	Public  string `json:"public,omitempty"`  // token by which a returning person reopens the widget
}

// The presets.
const (
	DeveloperConsole = "developer_console"
	HumanConnectV1   = "human_connect_v1"
)

// presets are the names of each preset.
var presets = map[string]Names{
	DeveloperConsole: {"specialToken", "UserCode", "accessToken", "clientUserId", "clientId", "clientSecret", "publicToken"},
	HumanConnectV1:   {"sessionToken", "humanId", "accessToken", "clientUserId", "clientId", "clientSecret", "publicToken"},
}

// names are those of the preset, but for what the settings name otherwise.
func (s *Settings) names() Names {
	n := presets[s.Preset]
	return Names{
		Token:   cmp.Or(s.Names.Token, n.Token),
		Account: cmp.Or(s.Names.Account, n.Account),
		Access:  cmp.Or(s.Names.Access, n.Access),
		User:    cmp.Or(s.Names.User, n.User),
		Client:  cmp.Or(s.Names.Client, n.Client),
		Secret:  cmp.Or(s.Names.Secret, n.Secret),
		Public:  cmp.Or(s.Names.Public, n.Public),
	}
}
