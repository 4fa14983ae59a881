// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// presetConfig returns a preset with a client.
func presetConfig(t *testing.T, s Source) *sources.Config {
	t.Helper()
	s.ClientID, s.ClientSecret = "app", "secret"
	config, err := s.config("x", nil)
	if err != nil {
		t.Fatalf("preset %s: %v", s.Preset, err)
	}
	return config
}

// TestPresets protects who needs only a client: every preset is a whole source that
// loads.
func TestPresets(t *testing.T) {
	names := sources.PresetNames()
	if want := "dexcom fatsecret garmin google_health oura polar smart strava whoop withings"; strings.Join(names, " ") != want {
		t.Errorf("presets %v, want %s", names, want)
	}
	for _, name := range names {
		s := Source{Preset: name}
		if name == "smart" {
			s.FHIRBase = "https://fhir.example.org/R4"
		}
		config := presetConfig(t, s)
		if config.API == nil || config.API.Scheme != "https" {
			t.Errorf("%s: data calls go to %v", name, config.API)
		}
		text, _ := sources.Preset(name)
		if !strings.HasPrefix(string(text), "# ") || !strings.Contains(string(text), " 2026") {
			t.Errorf("%s does not say from where and when it is", name)
		}
	}
}

// TestPresetQuirks protects the quirks that a preset is there for, from the words
// of the Caddyfile to the settings of package sources.
func TestPresetQuirks(t *testing.T) {
	withings := presetConfig(t, Source{Preset: "withings"})
	if r := withings.Reply; r.Root != "body" || r.OK != "status" || r.OKValue != "0" || !withings.NoPKCE || withings.ScopeSeparator != "," ||
		withings.RefreshParams["action"] != "requesttoken" || withings.Grace.Hours() != 8 || withings.Account.Path != "userid" {
		t.Errorf("withings: %+v", withings)
	}
	strava := presetConfig(t, Source{Preset: "strava"})
	if a := strava.Account; a.In != sources.InReply || a.Or.In != sources.InAnswer || a.Or.URL.String() != "https://www.strava.com/api/v3/athlete" || a.Or.Or != nil {
		t.Errorf("strava: account %+v", a)
	}
	if len(strava.Reserve) != 2 || strava.Granted.In != sources.InRedirect || strava.Reply.ExpiresAt != "expires_at" || strava.Reply.RefusedAt != "errors.0.resource" || strava.Revoke.Form["token"] != "{access}" {
		t.Errorf("strava: %+v", strava)
	}
	polar := presetConfig(t, Source{Preset: "polar"})
	if c := polar.AfterConnect; c.URL != "https://www.polaraccesslink.com/v3/users" || c.JSON != `{"member-id":"{id}"}` || len(c.OK) != 4 || polar.Refresh != sources.RefreshNone {
		t.Errorf("polar: %+v", c)
	}
	dexcom := presetConfig(t, Source{Preset: "dexcom", Region: "eu"})
	if dexcom.AuthURL.String() != "https://api.dexcom.eu/v2/oauth2/login" || dexcom.TokenURL.Host != "api.dexcom.eu" || dexcom.API.Host != "api.dexcom.eu" ||
		dexcom.RefreshParams["redirect_uri"] != sources.RedirectURI || dexcom.Account != nil {
		t.Errorf("dexcom: %+v", dexcom)
	}
	garmin := presetConfig(t, Source{Preset: "garmin"})
	if !garmin.NoScope || garmin.Scopes != nil || garmin.NoPKCE {
		t.Errorf("garmin: %+v", garmin)
	}
	smart := presetConfig(t, Source{Preset: "smart", FHIRBase: "https://FHIR.example.org/R4/"})
	if smart.FHIRBase != "https://FHIR.example.org/R4/" || smart.API.String() != "https://fhir.example.org/R4" || smart.Protocol != sources.SMART ||
		smart.ClientAuth != sources.ClientAuthBasic || smart.Title != "x" {
		t.Errorf("smart: %+v", smart)
	}
	fatsecret := presetConfig(t, Source{Preset: "fatsecret"})
	if fatsecret.Protocol != sources.OAuth1 || !fatsecret.SignatureInQuery || fatsecret.RequestTokenURL.Host != "authentication.fatsecret.com" {
		t.Errorf("fatsecret: %+v", fatsecret)
	}
}

// TestPresetIsChanged protects who changes one setting of a preset: the others stay,
// in this source and in the next.
func TestPresetIsChanged(t *testing.T) {
	changed := presetConfig(t, Source{
		Preset: "withings", APIHostURL: "https://sandbox.example", Scopes: []string{"user.info"},
		TokenParams: map[string]string{"mode": "demo"}, Account: []SourceLookup{{In: "none"}},
	})
	if changed.TokenURL.String() != "https://sandbox.example/v2/oauth2" || len(changed.Scopes) != 1 || changed.Account != nil ||
		changed.TokenParams["action"] != "requesttoken" || changed.TokenParams["mode"] != "demo" || changed.Reply.Root != "body" {
		t.Errorf("%+v", changed)
	}
	if again := presetConfig(t, Source{Preset: "withings"}); again.TokenParams["mode"] != "" || len(again.Scopes) != 3 {
		t.Errorf("the preset itself: %+v", again)
	}
}

// TestPresetDamaged protects who writes a preset: the error says which, and the line.
func TestPresetDamaged(t *testing.T) {
	for text, want := range map[string]string{
		"source x {\n\tname X\n\tscope read\n}\n":         `unrecognized subdirective "scope" of source, at preset x:3`,
		"source x {\n\tpkce maybe\n}\n":                   "preset x:2",
		"source other {\n\tname X\n}\n":                   "a preset is one source of the file's name, x",
		"source x {\n\tname X\n}\nsource y {\n\tname Y\n": "a preset is one source",
		"source x {\n\tname <<X\n":                        "preset x",
	} {
		if _, err := parsePreset("x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	if _, err := presetSource("witings"); err == nil || !strings.Contains(err.Error(), `there is no preset "witings": name one of dexcom`) {
		t.Errorf("a misspelt preset: %v", err)
	}
}
