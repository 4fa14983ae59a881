// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/licensecheck"
)

// licence is a file of a module that says on which terms it may be passed on.
type licence struct {
	name        string // of the file
	text        string
	identifiers []string // SPDX; none for a notice
}

// The files at the top of a module that its licence has to be looked for in, or
// that have to be passed on with it: Apache-2.0 asks for notices.
var (
	terms   = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)
	notices = regexp.MustCompile(`(?i)^(notice|patents|copyright)(\..*)?$`)
)

// minimum is how much of a file, in percent of its words, has to be a known
// licence's: what remains are names and years. It is pkg.go.dev's.
const minimum = 75

// readLicences reads the licences and notices at the top of a module's folder.
// One that was reviewed has the identifiers that the reviewer gave it, and one that
// is not recognized "unknown".
func readLicences(folder string, reviewed map[string][]string) ([]licence, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []licence
	for _, file := range files {
		isLicence := terms.MatchString(file.Name())
		if file.IsDir() || !isLicence && !notices.MatchString(file.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			return nil, err
		}
		l := licence{name: file.Name(), text: string(text)}
		if ids, ok := reviewed[fmt.Sprintf("%x", sha256.Sum256(text))]; ok {
			l.identifiers = ids
		} else if isLicence {
			l.identifiers = identify(text)
		}
		all = append(all, l)
	}
	return all, nil
}

// identify returns the SPDX identifiers of the licences in a text.
func identify(text []byte) []string {
	scan := licensecheck.Scan(text)
	if scan.Percent < minimum {
		return []string{"unknown"}
	}
	var ids []string
	for _, match := range scan.Match {
		ids = append(ids, cmp.Or(match.ID, "unknown"))
	}
	return ids
}
