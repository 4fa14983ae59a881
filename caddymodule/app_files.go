// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

// settingFile is a file that a setting is read from.
type settingFile struct {
	setting, file string
	authorities   bool // its certificates are those of authorities
}

// settingFiles are the files of a configuration, for the status: what of them can
// be read tells how old keys are, and whether Caddy would start again.
type settingFiles []settingFile

// findFiles notes the files that the app's settings name. It runs before Caddy
// drops the JSON of the providers.
func (a *App) findFiles() {
	for name, settings := range a.ProvidersRaw {
		a.files.collect("provider "+name, settings)
	}
	for name, source := range a.Sources {
		a.files.collect("source "+name, source)
	}
	a.files.collect("cache", a.Cache)
	a.files.collect("grants", a.Grants)
	a.files.collect("keyset", a.Keyset)
	slices.SortFunc(a.files, func(x, y settingFile) int { return strings.Compare(x.setting, y.setting) })
}

// collect adds the files that settings name, which can be written as JSON. place
// is the first part of the settings' names.
func (f *settingFiles) collect(place string, settings any) {
	var value any
	if text, err := json.Marshal(settings); err == nil && json.Unmarshal(text, &value) == nil {
		f.walk(place, value)
	}
}

func (f *settingFiles) walk(name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			f.walk(name+" "+key, inner)
		}
	case []any:
		for _, inner := range value {
			f.walk(name, inner)
		}
	case string:
		file, isFile := strings.CutPrefix(value, "{file.")
		switch {
		case isFile && strings.HasSuffix(file, "}"):
			*f = append(*f, settingFile{name, strings.TrimSuffix(file, "}"), false})
		case strings.HasSuffix(name, " ca_file"):
			if file, err := expandSetting(caddy.NewReplacer(), value); err == nil {
				*f = append(*f, settingFile{name, file, true})
			}
		}
	}
}

// filesStatus looks at the files, and at the keyset that was made beside the grants'
// SQLite database: without it nobody's grant opens.
func (a *App) filesStatus() (all []status.File) {
	for _, of := range a.files {
		all = append(all, of.status())
	}
	if o, err := a.Grants.options(); a.Keyset == "" && err == nil && o.File != "" && a.grantStore.IsOpen() {
		all = append(all, settingFile{"keyset", keysetFile(o.File), false}.status())
	}
	return all
}

func (f settingFile) status() status.File {
	s := status.File{Setting: f.setting, File: f.file}
	info, err := os.Stat(f.file)
	if err == nil {
		s.Changed = info.ModTime().UTC().Truncate(time.Second)
		var file *os.File
		if file, err = os.Open(f.file); err == nil {
			err = file.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Cause = "there is no such file any more"
	case errors.Is(err, fs.ErrPermission):
		s.Cause = "Caddy's user may not read it any more"
	case err != nil:
		s.Cause = "it cannot be read any more"
	case f.authorities:
		s.Ends = lastEnd(f.file)
	}
	return s
}

// lastEnd is when the last certificate of a PEM file ends; zero without any. An old one
// that has ended beside its successor does no harm.
func lastEnd(file string) (ends time.Time) {
	text, err := os.ReadFile(file)
	if err != nil {
		return ends
	}
	for rest := delegation.NormalizePEM(string(text)); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return ends
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(ends) {
			ends = c.NotAfter
		}
	}
}
