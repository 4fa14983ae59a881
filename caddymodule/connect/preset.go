// SPDX-License-Identifier: Apache-2.0

package connect

// The presets.
const (
	// DeveloperConsole is the preset of platforms whose widget gives a
	// specialToken and whose exchange answers UserCode and accessToken. Their
	// addresses are the operator's to give.
	DeveloperConsole = "developer_console"
	// HumanConnectV1 is the preset of Human API's first Connect, from which the
	// words of many such platforms come.
	HumanConnectV1 = "human_connect_v1"
)

// preset is what a platform's documentation says of it.
type preset struct {
	ExchangeURL, APIURL, WidgetURL, WidgetGlobal, PublicTokenURL string
	Names                                                        Names
	// redeemsAccount reports that the widget's result names the account as well,
	// and that the exchange takes it.
	redeemsAccount bool
}

var presets = map[string]preset{
	DeveloperConsole: {
		WidgetGlobal: "Connect",
		Names: Names{
			Token: "specialToken", Account: "UserCode", Access: "accessToken", User: "clientUserId", Client: "clientId", Secret: "clientSecret", Public: "publicToken",
		},
	},
	HumanConnectV1: { //nolint:gosec // names and addresses
		ExchangeURL:    "https://user.humanapi.co/v1/connect/tokens",
		APIURL:         "https://api.humanapi.co",
		WidgetURL:      "https://connect.humanapi.co/connect.js",
		WidgetGlobal:   "HumanConnect",
		PublicTokenURL: "https://user.humanapi.co/v1/connect/publictokens",
		Names: Names{
			Token: "sessionToken", Account: "humanId", Access: "accessToken", User: "clientUserId", Client: "clientId", Secret: "clientSecret", Public: "publicToken",
		},
		redeemsAccount: true,
	},
}
