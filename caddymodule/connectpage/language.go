// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

//go:embed languages/*.json
var languageFiles embed.FS

// textLanguage is one language of the pages.
type textLanguage struct {
	Tag   string            // BCP 47, such as de
	Dir   string            // ltr or rtl
	texts map[string]string // by key; {name} in a text stands for a value
}

// pseudoLocale is English written from right to left, so that pages can be checked
// in that direction. It is used only if asked for by this very name: a reader of
// Arabic does not want it.
const pseudoLocale = "ar-XB"

// languages are those of the pages, by tag. English is the one for everybody else.
var languages = func() map[string]*textLanguage {
	all := make(map[string]*textLanguage)
	for _, tag := range []string{"en", "de", "es", "fr", pseudoLocale} {
		text, err := languageFiles.ReadFile("languages/" + tag + ".json")
		l := &textLanguage{Tag: tag, Dir: "ltr"}
		if err == nil {
			err = json.Unmarshal(text, &l.texts)
		}
		if err != nil {
			panic("connectpage: language " + tag + ": " + err.Error())
		}
		if tag == pseudoLocale {
			l.Dir = "rtl"
		}
		all[tag] = l
	}
	return all
}()

// chooseLanguage returns the language that fits a request's Accept-Language best
// (RFC 9110 section 12.5.4).
func chooseLanguage(r *http.Request) *textLanguage {
	tags, _, err := language.ParseAcceptLanguage(strings.Join(r.Header.Values("Accept-Language"), ","))
	if err != nil {
		tags = nil
	}
	for _, tag := range tags {
		base, _ := tag.Base()
		for _, name := range []string{tag.String(), base.String()} {
			if l, ok := languages[name]; ok {
				return l
			}
		}
	}
	return languages["en"]
}
