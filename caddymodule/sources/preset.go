// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"embed"
	"strings"
)

// presetFiles are sources as a Caddyfile has them, each with the day on which, and
// the page from which, it was read.
//
//go:embed presets/*.caddyfile
var presetFiles embed.FS

// Preset returns the Caddyfile text of a preset, and whether there is one.
func Preset(name string) ([]byte, bool) {
	text, err := presetFiles.ReadFile("presets/" + name + ".caddyfile")
	return text, err == nil
}

// PresetNames returns the names of the presets, sorted.
func PresetNames() (names []string) {
	files, _ := presetFiles.ReadDir("presets") // an embedded folder
	for _, file := range files {
		names = append(names, strings.TrimSuffix(file.Name(), ".caddyfile"))
	}
	return names
}
