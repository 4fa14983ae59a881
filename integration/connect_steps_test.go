// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// TestConnectSteps is the Connect flow as a developer of an app reads of it in the
// platform's document: one test, in its order and with its names. It protects that
// the app's own part of it is a Caddyfile and a button, and that neither client
// secret nor access token ever reaches the client.
func TestConnectSteps(t *testing.T) {
	console := startConsole(t, connect.DeveloperConsole, "")
	ada := accounts()[0]

	// In the portal, the developer creates an application. It has a clientId and a
	// clientSecret, which go into the Caddyfile.
	application, err := console.platform.Register(connect.Application{Name: "Step by step"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONNECT_CLIENT_SECRET", application.ClientSecret)
	load(t, console.Stack, strings.Replace(console.caddyfile(""), "client_id     health", "client_id "+application.ClientID, 1))

	// The app's page has a button, and connect.js.
	received := new(receipts)
	alice := console.browser("alice")
	alice.client.Transport = received
	if script := alice.do(http.MethodGet, "/connect/health/connect.js", ""); script.StatusCode != http.StatusOK || !strings.Contains(script.body, "DelegateConnect") {
		t.Fatalf("connect.js: %d", script.StatusCode)
	}

	// Step 1. The client launches the popup with clientId and clientUserId.
	start := alice.do(http.MethodPost, "/connect/health/start", "")
	var parameters map[string]any
	if err := json.Unmarshal([]byte(start.body), &parameters); err != nil || parameters["clientId"] != application.ClientID {
		t.Fatalf("start: %d %s", start.StatusCode, start.body)
	}
	clientUserID := parameters["clientUserId"].(string)
	popup := console.launches(url.Values{"clientId": {application.ClientID}, "clientUserId": {clientUserID}, "origin": {console.URL()}})

	// Step 2. The person shares data and presses "Finish connecting data": the
	// client has a specialToken.
	popup.shares(ada)
	handed := popup.result()
	specialToken := handed["specialToken"]
	if len(handed) != 1 || specialToken == "" {
		t.Fatalf("the widget hands over %v", handed)
	}

	// Step 3. The client sends it to the app's server, which is Caddy.
	redeemed := alice.do(http.MethodPost, "/connect/health/redeem", object(handed), "Content-Type", "application/json")
	if redeemed.StatusCode != http.StatusCreated {
		t.Fatalf("redeem: %d %s", redeemed.StatusCode, redeemed.body)
	}

	// Step 4. The server adds the clientSecret, and sends both to the platform.
	var sent map[string]string
	records := console.platform.Records()
	exchange := records[slices.IndexFunc(records, func(r connect.Record) bool { return r.Area == "exchange" })]
	if err := json.Unmarshal([]byte(exchange.Body), &sent); err != nil || !maps.Equal(sent, map[string]string{
		"specialToken": specialToken, "clientId": application.ClientID, "clientSecret": application.ClientSecret,
	}) || exchange.Header.Get("Cookie") != "" {
		t.Errorf("the platform got %v: %s", exchange.Header, exchange.Body)
	}

	// Step 5. The platform answers with UserCode and accessToken. They are saved as
	// this person's, so that nobody reads them on the disk.
	connected := console.platform.Connections()
	i := slices.IndexFunc(connected, func(c connect.Connection) bool { return c.ClientID == application.ClientID })
	if i < 0 || connected[i].UserCode != ada || connected[i].ClientUserID != clientUserID || connected[i].AccessToken == "" {
		t.Fatalf("the platform has %+v", connected)
	}
	accessToken := connected[i].AccessToken
	file := configFile(t, console.Stack, strings.Replace(console.caddyfile(""), "client_id     health", "client_id "+application.ClientID, 1))
	list, err := command(t, "grants", "--config", file, "--adapter", "caddyfile", "list", "--json")
	var saved []struct{ Provider, Subject, Account, State string }
	if err == nil {
		err = json.Unmarshal([]byte(list), &saved)
	}
	if err != nil || len(saved) != 1 || saved[0].Provider != "health" || saved[0].Subject != "alice" || saved[0].Account != ada || saved[0].State != "active" {
		t.Errorf("%v: saved is %s", err, list)
	}
	on := kept(t, filepath.Join(console.Dir, "grants"))
	for name, secret := range map[string]string{"UserCode": ada, "accessToken": accessToken, "specialToken": specialToken, "clientUserId": clientUserID} {
		if strings.Contains(on, secret) {
			t.Errorf("%s can be read on the disk", name)
		}
	}

	// Step 6. The app's status is another one, and the person's data can be queried.
	console.isStatus(alice, "connected")
	data := alice.do(http.MethodGet, "/data/v1/human/activities", "")
	if data.StatusCode != http.StatusOK || !strings.Contains(data.body, "pulse_band") {
		t.Errorf("data: %d %s", data.StatusCode, data.body)
	}
	records = console.platform.Records()
	if last := records[len(records)-1]; last.UserCode != ada || last.Header.Get("Authorization") != "Bearer "+accessToken || last.Header.Get("Cookie") != "" {
		t.Errorf("the API got %+v", last)
	}
	// Somebody else has connected nothing, and reads nothing.
	isCode(t, console.browser("bob").do(http.MethodGet, "/data/v1/human/activities", ""), http.StatusForbidden, "consent_required")

	received.lack(t, map[string]string{"clientSecret": application.ClientSecret, "accessToken": accessToken})
	for _, name := range []string{"clientSecret", "accessToken"} {
		if strings.Contains(received.all.String(), name) {
			t.Errorf("the client is told of the name %s", name)
		}
	}
}

// kept is all that the files of a folder hold.
func kept(t testing.TB, folder string) string {
	t.Helper()
	var all strings.Builder
	files, err := os.ReadDir(folder)
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %d files", err, len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
