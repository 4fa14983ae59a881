// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"io/fs"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var placeholders = regexp.MustCompile(`\{\w+\}`)

// TestLanguages protects people who read another language than English: every
// language has every text, with the same values in it, and no text is left that no
// page shows.
func TestLanguages(t *testing.T) {
	files, err := fs.Glob(languageFiles, "languages/*.json")
	if err != nil || len(files) != len(languages) || len(languages) != 5 {
		t.Fatalf("files %v, languages %v: %v", files, slices.Collect(maps.Keys(languages)), err)
	}
	english := languages["en"].texts
	shown := shownKeys(t)
	for tag, l := range languages {
		if keys, want := slices.Sorted(maps.Keys(l.texts)), slices.Sorted(maps.Keys(shown)); !slices.Equal(keys, want) {
			t.Errorf("%s: keys %v, the pages show %v", tag, keys, want)
		}
		for key, text := range l.texts {
			if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "<>&") {
				t.Errorf("%s: %s is %q", tag, key, text)
			}
			if tag != "en" && tag != pseudoLocale && text == english[key] {
				t.Errorf("%s: %s is not translated", tag, key)
			}
			got, want := placeholders.FindAllString(text, -1), placeholders.FindAllString(english[key], -1)
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("%s: %s has the values %v, in English %v", tag, key, got, want)
			}
		}
	}
}

// shownKeys returns the keys that the templates and the code name.
func shownKeys(t *testing.T) map[string]bool {
	t.Helper()
	keys := make(map[string]bool)
	files, _ := fs.Glob(pageFiles, "pages/*.html")
	for _, file := range files {
		text, err := fs.ReadFile(pageFiles, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?:Say|Plain) "(\w+)"`).FindAllSubmatch(text, -1) {
			keys[string(match[1])] = true
		}
	}
	for _, key := range outcomeTexts {
		keys[key] = true
	}
	keys[(Outcome{Code: "unheard_of"}).notice().Key] = true
	for _, s := range []State{StateNone, StatePending, StateConnected, StateUpdate, StateConfirm, StateEnded} {
		keys["state_"+string(s)] = true
		for _, a := range []Action{ActionConnect, ActionUpdate} {
			keys[new(view).Label(Source{State: s}, a)] = true
		}
	}
	keys["state_connected_as"], keys["confirm_text"], keys["confirm_text_unnamed"] = true, true, true
	return keys
}

// TestPseudoLocale protects the check of pages from right to left: the pseudo-locale
// says what English says, word by word, so that it cannot be forgotten.
func TestPseudoLocale(t *testing.T) {
	for key, text := range languages["en"].texts {
		words := strings.Split(text, " ")
		for i, word := range words {
			if !placeholders.MatchString(word) {
				words[i] = "\u200f\u202e" + word + "\u202c\u200f"
			}
		}
		if want := strings.Join(words, " "); languages[pseudoLocale].texts[key] != want {
			t.Errorf("%s: write %+q", key, want)
		}
	}
}

// TestChooseLanguage protects what people have set in their browsers, and readers of
// Arabic from the pseudo-locale.
func TestChooseLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"":                              "en",
		"de-AT, en;q=0.8":               "de",
		"pt, fr;q=0.5, en;q=0.1":        "fr",
		"en;q=0.3, es-419;q=0.9":        "es",
		"en-GB":                         "en",
		"ar":                            "en",
		"ar-XB":                         "ar-XB",
		"ja, *;q=0.1":                   "en",
		"de;q=0, en":                    "en",
		"DE":                            "de",
		"de; q=x":                       "en",
		"\x00":                          "en",
		strings.Repeat("x-y-z,-", 5000): "en",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if header != "" {
			r.Header.Set("Accept-Language", header)
		}
		if l := chooseLanguage(r); l.Tag != want {
			t.Errorf("%.40q: %s, want %s", header, l.Tag, want)
		}
	}
	if l := languages[pseudoLocale]; l.Dir != "rtl" || languages["de"].Dir != "ltr" {
		t.Errorf("directions: %s, %s", l.Dir, languages["de"].Dir)
	}
}
