// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// Source is an integration source of a configuration, for `caddy delegate sources`.
type Source struct {
	Name, Title, Preset string
	Protocol            sources.Protocol
	API                 string    // the base of data calls
	Ended               time.Time // zero: not known
	NoAccount           bool      // the vendor does not say whose account was connected
	Providers           []string  // those that offer it
	// Settings are the source and its preset as one, as JSON, without secrets.
	Settings string
	// KeySet returns the public half of the client's key, as a JWK set (RFC 7517); that
	// of a provider's own client if it is named. It reads the private key.
	KeySet func(provider string) (string, error)
}

// sourcesCommand is `caddy delegate sources …`.
func sourcesCommand(b Backend) *cobra.Command {
	c := new(sourcesConfig)
	c.sources = b.Sources
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "Lists the integration sources and the presets, and shows one",
	}
	requireSubcommand(cmd)
	c.flags(cmd.PersistentFlags())
	list := c.command("list", "Lists the sources of the configuration, and the presets", cobra.NoArgs, c.list)
	show := c.command("show <name>", "Shows a source with all that its preset says, or a preset", cobra.ExactArgs(1), c.show)
	keys := c.command("jwks <name>", "Prints the public key of a source's client, to register at the vendor", cobra.ExactArgs(1), c.keySet)
	keys.Flags().StringVar(&c.provider, "provider", "", "The key of this provider's own client")
	cmd.AddCommand(list, show, keys)
	return cmd
}

// sourcesConfig names the configuration whose sources are meant.
type sourcesConfig struct {
	Config
	provider string
	sources  func(Config) ([]Source, error)
}

func (c *sourcesConfig) command(use, short string, args cobra.PositionalArgs, run func(out io.Writer, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return run(cmd.OutOrStdout(), args)
	}}
}

const sourceLine = "%-20s  %-24s  %-8s  %-14s  %-20s  %s\n"

// list prints the sources, a line for each, and the names of the presets.
func (c *sourcesConfig) list(out io.Writer, _ []string) error {
	all, err := c.sources(c.Config)
	if err == nil && len(all) > 0 {
		fmt.Fprintf(out, sourceLine, "SOURCE", "NAME", "PROTOCOL", "PRESET", "PROVIDERS", "API")
		for _, s := range all {
			api := QuoteForTerminal(s.API)
			if !s.Ended.IsZero() {
				api += " (ends " + s.Ended.UTC().Format(time.DateOnly) + ")"
				if !s.Ended.After(time.Now()) {
					api = strings.Replace(api, "(ends", "(ended", 1)
				}
			}
			if s.NoAccount {
				api += " (no account)"
			}
			fmt.Fprintf(out, sourceLine, s.Name, QuoteForTerminal(s.Title), s.Protocol, orDash(s.Preset), orDash(strings.Join(s.Providers, ",")), api)
		}
	} else if err == nil {
		fmt.Fprintln(out, "The configuration has no source.")
	}
	fmt.Fprintf(out, "Presets: %s. See one by: caddy delegate sources show <name>\n", strings.Join(sources.PresetNames(), ", "))
	return err
}

// show prints a source of the configuration or, if it has none of the name, a preset.
func (c *sourcesConfig) show(out io.Writer, args []string) error {
	name := args[0]
	source, err := c.find(name)
	preset, isPreset := sources.Preset(name)
	switch {
	case source != nil:
		if text, ok := sources.Preset(source.Preset); ok {
			comment, _, _ := strings.Cut(string(text), "\nsource ")
			fmt.Fprintf(out, "# Preset %s:\n%s\n", source.Preset, comment)
		}
		fmt.Fprintln(out, source.Settings)
		return nil
	case isPreset:
		_, err = out.Write(preset)
		return err
	default:
		return err
	}
}

// keySet prints the public half of a client's key.
func (c *sourcesConfig) keySet(out io.Writer, args []string) error {
	source, err := c.find(args[0])
	if err != nil {
		return err
	}
	text, err := source.KeySet(c.provider)
	if err != nil {
		return fmt.Errorf("source %s: %w", args[0], err)
	}
	_, err = io.WriteString(out, text)
	return err
}

// find returns the configuration's source of that name.
func (c *sourcesConfig) find(name string) (*Source, error) {
	all, err := c.sources(c.Config)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(s Source) bool { return s.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, errors.New("the configuration has no such source, and there is no preset of that name: see caddy delegate sources list")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
