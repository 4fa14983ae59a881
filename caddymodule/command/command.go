// SPDX-License-Identifier: Apache-2.0

// Package command is `caddy delegate`: what an operator types. It reads flags and
// prints; what a configuration means is the modules' to tell, through [Backend].
package command

import (
	"context"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// Backend is what the commands need of the Caddy modules. Their package hands it
// over: it imports this one, so that whoever builds Caddy with the modules has the
// commands as well.
type Backend struct {
	// Check tries what a configuration says and tells part by part: one for each
	// provider, in the order of their names, and [ConfigurationPart]. The error
	// is about the configuration, which does not load, or about the request.
	Check func(context.Context, *CheckOptions, *Report) error
	// Judge judges a credential by each app_session of a configuration, a part
	// each. The credential is a cookie's value, a token, or lines of headers.
	Judge func(ctx context.Context, c Config, credential string, r *Report) error
	// Grants are where a configuration keeps its grants, and the names of its
	// providers. Nothing is made: neither a database nor a keyset.
	Grants func(Config) (grants.Options, ProviderNames, error)
	// Import returns a source of a provider, to import grants.
	Import func(c Config, provider, source string) (*ImportTarget, error)
	// Sources are the integration sources of a configuration, sorted by name.
	Sources func(Config) ([]Source, error)
}

// ProviderNames are the providers of a configuration, each with the names of its
// sources; nil for one that has none, or whose sources its module alone knows.
type ProviderNames map[string][]string

// Config names a configuration: a file, or the Caddyfile of the folder if that is
// empty, and the adapter for what is neither a Caddyfile nor JSON.
type Config struct{ File, Adapter string }

// flags adds the flags that name the configuration.
func (c *Config) flags(flags *pflag.FlagSet) {
	flags.StringVarP(&c.File, "config", "c", "", "The configuration file; default: Caddyfile in this folder")
	flags.StringVarP(&c.Adapter, "adapter", "a", "", "The adapter, if it is no Caddyfile or JSON")
}

// Register registers the command `caddy delegate` with Caddy.
func Register(b Backend) {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "delegate",
		Usage: "check|session|init|keyset|grants|sources",
		Short: "Sets the delegate modules up, makes their keys, and keeps their grants",
		Long: `
Sets up an account at a platform, checks it, and makes and rotates the keyset: the keys by
which the delegate modules seal what they keep outside Caddy, and by which they
give names to people. Machines that share a cache or a database need the same
keyset. It also lists, exports and changes the grants: what people have
consented to at a platform; and shows the sources that people can connect.`,
		CobraFunc: func(cmd *cobra.Command) {
			requireSubcommand(cmd)
			start := &cobra.Command{
				Use:   "init",
				Short: "Makes a key pair and a Caddyfile to begin with",
			}
			requireSubcommand(start)
			start.AddCommand(initCommand())
			cmd.AddCommand(keysetCommands(), start, withEnvFiles(checkCommand(b)), withEnvFiles(sessionCommand(b)), withEnvFiles(grantsCommand(b)), withEnvFiles(sourcesCommand(b)))
		},
	})
}

// requireSubcommand makes cmd print its help, and refuse words that are no command of it:
// by default cobra would print the help and succeed.
func requireSubcommand(cmd *cobra.Command) {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
