// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
)

// errUsage: the flag package has already told what is wrong.
var errUsage = errors.New("usage")

// parse reads the flags. The error is [flag.ErrHelp] if they were asked for.
func parse(flags *flag.FlagSet, args []string, errOut io.Writer) error {
	flags.SetOutput(errOut)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	return nil
}

// people are those of a flag, which takes the number of made-up ones or the
// name of a JSON file.
func people[P any, C interface {
	*P
	Check() error
}](flagName, value string, most int, sample func(int) []P) ([]P, error) {
	if n, err := strconv.Atoi(value); err == nil {
		if n < 0 || n > most {
			return nil, fmt.Errorf("--%s: want a number between 0 and %d", flagName, most)
		}
		return sample(n), nil
	}
	b, err := os.ReadFile(value)
	if err != nil {
		return nil, fmt.Errorf("--%s: neither a number nor a readable file: %w", flagName, err)
	}
	var list []P
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("--%[1]s: %[2]s: want a JSON list of %[1]s: %[3]w", flagName, value, err)
	}
	for i := range list {
		if err := C(&list[i]).Check(); err != nil {
			return nil, fmt.Errorf("--%s: %s: entry %d: %w", flagName, value, i+1, err)
		}
	}
	return list, nil
}
