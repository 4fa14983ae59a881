// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// withEnvFiles adds the flag --envfile of Caddy's own commands to one that reads
// a configuration, and to those below it. What a file says counts before the
// configuration is read; what is in the environment already stays.
func withEnvFiles(cmd *cobra.Command) *cobra.Command {
	var files []string
	cmd.PersistentFlags().StringSliceVar(&files, "envfile", nil, "Environment file(s) to load, as for caddy run")
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		for _, file := range files {
			if err := loadEnvFile(file); err != nil {
				return fmt.Errorf("--envfile: %w", err)
			}
		}
		return nil
	}
	return cmd
}

func loadEnvFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // of what was only read
	variables, err := parseEnvFile(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, value := range variables {
		if _, there := os.LookupEnv(name); there {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: %s cannot be set", file, name)
		}
	}
	return nil
}

// parseEnvFile reads lines NAME=value as `caddy run --envfile` does, oddities
// included, which a test holds against Caddy's own: one file must not mean two
// things. A # ends a value wherever it stands; a value in quotes goes on over
// lines until one ends with that quote. Errors name the line, and nothing of a
// value, which may be a secret.
func parseEnvFile(from io.Reader) (map[string]string, error) {
	variables := make(map[string]string)
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimPrefix(name, "export ")
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d is not NAME=value", n)
		case name == "":
			return nil, fmt.Errorf("line %d has no name before the =", n)
		case strings.Contains(name, " "):
			return nil, fmt.Errorf("line %d has a blank in the name", n)
		case strings.HasPrefix(value, " "), strings.HasPrefix(value, "\t"):
			return nil, fmt.Errorf("line %d has a blank behind the =: put the value in quotes", n)
		}
		if before, _, ok := strings.Cut(value, "#"); ok {
			value = strings.TrimRight(before, " \t")
		}
		if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
			quote := value[:1]
			for !strings.HasSuffix(line, quote) || strings.HasSuffix(line, `\`+quote) {
				value = strings.ReplaceAll(value, `\`+quote, quote)
				if !lines.Scan() {
					break
				}
				n++
				line = strings.ReplaceAll(lines.Text(), `\`+quote, quote)
				value += "\n" + line
			}
			value = strings.TrimSuffix(strings.TrimPrefix(value, quote), quote)
		}
		variables[name] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	return variables, nil
}
