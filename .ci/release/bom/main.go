// SPDX-License-Identifier: Apache-2.0

// Command bom lists the modules that are compiled into a program: as a CycloneDX
// bill of materials, and with their licences' texts. It fails if the licence of
// one is not on the list of those allowed, or cannot be told. It reads the
// program's own list of modules and Go's module cache, and needs no network.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	program := flag.String("program", "", "the program whose modules are listed")
	version := flag.String("version", "", "its version")
	allowed := flag.String("allowed", "", "the file with the allowed licences")
	bom := flag.String("bom", "", "the bill of materials to write")
	licences := flag.String("licences", "", "the file to write the licences to")
	flag.Parse()
	if err := run(*program, *version, *allowed, *bom, *licences); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program, version, allowed, bom, licences string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("the modules of %s: %w", program, err)
	}
	policy, err := readPolicy(allowed)
	if err != nil {
		return err
	}
	modules, err := modulesOf(info)
	if err != nil {
		return err
	}
	var refused []error
	for i, m := range modules {
		if modules[i].licences, err = readLicences(m.folder, policy.reviewed); err != nil {
			return fmt.Errorf("the licence of %s: %w", m.path, err)
		}
		refused = append(refused, policy.judge(modules[i]))
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	if err := writeBOM(bom, info.Main.Path, version, modules); err != nil {
		return err
	}
	return writeLicences(licences, modules)
}
