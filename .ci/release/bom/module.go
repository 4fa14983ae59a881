// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	escape "golang.org/x/mod/module"
)

// module is one that is compiled into the program.
type module struct {
	path, version string
	sum           []byte // SHA-256 of its files, Go's "h1"; none for the standard library
	folder        string // where its files are
	licences      []licence
}

// identifiers are the SPDX identifiers of its licences, sorted, each once.
func (m module) identifiers() []string {
	var ids []string
	for _, l := range m.licences {
		ids = append(ids, l.identifiers...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// modulesOf are the modules of a program but its own, with Go's standard library
// as the first.
func modulesOf(info *debug.BuildInfo) ([]module, error) {
	folders, err := exec.CommandContext(context.Background(), "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("Go's folders: %w", err)
	}
	root, cache, _ := strings.Cut(strings.TrimSpace(string(folders)), "\n")
	modules := []module{{path: "std", version: info.GoVersion, folder: root}}
	for _, dependency := range info.Deps {
		m := cmp.Or(dependency.Replace, dependency)
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(sum) != 32 {
			return nil, fmt.Errorf("%s %s has no checksum: was it replaced by a folder?", m.Path, m.Version)
		}
		path, err := escape.EscapePath(m.Path)
		if err != nil {
			return nil, err
		}
		version, err := escape.EscapeVersion(m.Version)
		if err != nil {
			return nil, err
		}
		modules = append(modules, module{path: m.Path, version: m.Version, sum: sum, folder: filepath.Join(cache, path+"@"+version)})
	}
	return modules, nil
}
