// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// policy is which licences the modules of a program may have.
type policy struct {
	allowed []string // SPDX identifiers
	// reviewed are the identifiers of files that a person has read, by the SHA-256
	// of their text: those that no tool recognizes, or that are about parts that are
	// not compiled in, which have none. A changed text has to be read again.
	reviewed map[string][]string
}

// readPolicy reads a file with lines "allow <identifier>" and "reviewed <SHA-256>
// <identifier> …", where # begins a comment.
func readPolicy(name string) (policy, error) {
	p := policy{reviewed: make(map[string][]string)}
	content, err := os.ReadFile(name)
	if err != nil {
		return p, err
	}
	for i, line := range strings.Split(string(content), "\n") {
		text, _, _ := strings.Cut(line, "#")
		switch words := strings.Fields(text); {
		case len(words) == 0:
		case words[0] == "allow" && len(words) == 2:
			p.allowed = append(p.allowed, words[1])
		case words[0] == "reviewed" && len(words) > 1 && len(words[1]) == 64:
			p.reviewed[words[1]] = words[2:]
		default:
			return p, fmt.Errorf("%s:%d: neither \"allow <identifier>\" nor \"reviewed <SHA-256> <identifier> …\"", name, i+1)
		}
	}
	return p, nil
}

// judge returns an error that tells which licence of a module is not allowed, or
// that none was found.
func (p policy) judge(m module) error {
	found := false
	for _, l := range m.licences {
		for _, id := range l.identifiers {
			found = true
			if !slices.Contains(p.allowed, id) {
				return fmt.Errorf("%s %s: the licence %s in %s/%s is not allowed", m.path, m.version, id, m.folder, l.name)
			}
		}
	}
	if !found {
		return fmt.Errorf("%s %s: no licence was found in %s", m.path, m.version, m.folder)
	}
	return nil
}
