// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// configure gives the office's configuration providers and a catalogue of sources.
func (f *office) configure(providers, catalogue string) {
	f.t.Helper()
	text, err := os.ReadFile(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	var config map[string]map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &config); err != nil {
		f.t.Fatal(err)
	}
	app := config["apps"]["delegate"]
	app["providers"], app["sources"] = json.RawMessage(providers), json.RawMessage(catalogue)
	if text, err = json.Marshal(config); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.config, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// bind gives somebody a grant of a source.
func (f *office) bind(provider, source, subject string) {
	f.t.Helper()
	owner := grants.Owner{Provider: provider, Source: source, Person: delegation.Person{Realm: "app", Subject: subject}}
	if err := f.store.BindIf(f.t.Context(), owner, "account of "+subject, func() bool { return true }); err != nil {
		f.t.Fatal(err)
	}
}

// TestGrantsOfSources protects people's grants of a source that was renamed or
// removed: an operator sees them, and takes them along.
func TestGrantsOfSources(t *testing.T) {
	f := newOffice(t, "")
	f.bind("study", "fitbit", "alice")
	f.bind("study", "oura", "alice")
	f.bind("mdh", "participant_field 0123", "alice")
	const catalogue = `{"oura":{},"google_health":{},"polar":{}}`
	f.configure(`{"study":{"kind":"sources","use":{"oura":{},"google_health":{}}},"all":{"kind":"sources"},"mdh":{"kind":"mydatahelps"}}`, catalogue)

	f.says(true, []string{"list"}, "study/fitbit !", "study/oura ", "! 1 of source fitbit of provider study, which is not configured", "grants rename --provider study fitbit <new>")
	if out := f.run(true, "list"); strings.Contains(out, "study/oura !") || strings.Contains(out, "mdh/") || strings.Contains(out, "mdh !") {
		t.Error(out)
	}
	f.says(true, []string{"list", "--json", "--source", "fitbit"}, `"source":"fitbit"`, `"unconfigured":true`)
	if out := f.run(true, "export", "--subject", "alice", "--provider", "study", "--source", "oura"); strings.Count(out, `{"id":`) != 1 || strings.Contains(out, "unconfigured") {
		t.Error(out)
	}

	f.says(false, []string{"rename", "--provider", "study", "oura", "google_health"}, "source oura of provider study is configured")
	f.says(false, []string{"rename", "--provider", "study", "fitbit", "polar"}, "source polar of provider study is not configured")
	f.says(false, []string{"rename", "--provider", "nobody", "fitbit", "oura"}, "provider nobody is not configured")
	f.says(false, []string{"rename", "study", "all"}, "provider study is configured")
	f.says(false, []string{"rename", "--provider", "study", "fitbit"}, "two of its sources")
	f.says(true, []string{"rename", "--provider", "study", "fitbit", "google_health"}, "Renamed 1 grants and journeys of fitbit to google_health")
	if out := f.run(true, "list"); !strings.Contains(out, "study/google_health ") || strings.Contains(out, "!") {
		t.Error(out)
	}
	f.says(false, []string{"rename", "--provider", "mdh", "participant_field 0123", "x"}, "no space")
	f.says(true, []string{"rename", "--provider", "mdh", "lab", "city_lab"}, "Renamed 0") // its module alone knows the sources

	// A provider without `use` has all sources of the catalogue.
	f.configure(`{"study":{"kind":"sources"}}`, catalogue)
	if out := f.run(true, "list"); strings.Contains(out, "study/google_health !") || !strings.Contains(out, "! 1 of provider mdh, which is not configured") {
		t.Error(out)
	}
	f.configure(`{"study":{"kind":"sources"}}`, `{"polar":{}}`)
	f.says(true, []string{"list"}, "! 1 of source google_health of provider study", "! 1 of source oura of provider study")
}
