// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeBOM writes a CycloneDX bill of materials. It has neither time nor serial
// number, so that the same modules give the same bytes.
func writeBOM(name, path, version string, modules []module) (err error) {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: component(cyclonedx.ComponentTypeApplication, path, version)}
	var components []cyclonedx.Component
	var refs []string
	for _, m := range modules {
		c := component(cyclonedx.ComponentTypeLibrary, m.path, m.version)
		if m.sum != nil {
			c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(m.sum)}}
		}
		var licences cyclonedx.Licenses
		for _, id := range m.identifiers() {
			licences = append(licences, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
		}
		c.Licenses = &licences
		components, refs = append(components, *c), append(refs, c.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: bom.Metadata.Component.BOMRef, Dependencies: &refs}}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := cyclonedx.NewBOMEncoder(file, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return file.Close()
}

func component(kind cyclonedx.ComponentType, path, version string) *cyclonedx.Component {
	url := fmt.Sprintf("pkg:golang/%s@%s", path, version)
	return &cyclonedx.Component{Type: kind, BOMRef: url, Name: path, Version: version, PackageURL: url}
}

// writeLicences writes a list of the modules with their licences, and then the
// texts that have to be passed on with the program.
func writeLicences(name string, modules []module) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "The modules that are compiled into the program, their licences (SPDX), and their texts.")
	fmt.Fprintln(w)
	for _, m := range modules {
		fmt.Fprintf(w, "%s %s: %s\n", m.path, m.version, strings.Join(m.identifiers(), ", "))
	}
	for _, m := range modules {
		for _, l := range m.licences {
			fmt.Fprintf(w, "\n%s\n%s %s, %s\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, l.name, strings.TrimSpace(l.text))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}
