// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// myDataHelps serves a simulated MyDataHelps until ctx ends.
func myDataHelps(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("simulator mydatahelps", flag.ContinueOnError)
	var at listener
	at.register(flags, "127.0.0.1:8080")
	account := flags.String("account", "MyDataHelps.Simulator.App", "`name` of the service account")
	project := flags.String("project", "5e1f0000-0000-4000-8000-000000000001", "`ID` of the project")
	who := flags.String("participants", "2", "`number` of made-up participants, or a JSON file with a list of them, such as [{\"participantIdentifier\":\"42\",\"firstName\":\"Ada\",\"lastName\":\"Abel\",\"customFields\":{\"employee\":\"7\"}}]")
	privateKey := flags.String("private-key-out", "", "`file` for the account's private key: made with mode 0600, or used if it is there")
	var public []string
	flags.Func("public-key", "PEM `file` with a public key of the account; may be repeated", func(file string) error {
		public = append(public, file)
		return nil
	})
	if err := parse(flags, args, errOut); err != nil {
		return err
	}
	if err := at.check(); err != nil {
		return err
	}
	keys, err := accountKeys(public, *privateKey)
	if err != nil {
		return err
	}
	participants, err := people("participants", *who, 1000000, simulator.SampleParticipants)
	if err != nil {
		return err
	}
	sim := simulator.NewMyDataHelps(simulator.Options{Account: *account, Keys: keys, ProjectID: *project, Participants: participants})
	return at.serve(ctx, sim, func(base string) {
		printWelcome(out, base, *account, *project, *privateKey, sim.Participants())
	})
}

func printWelcome(out io.Writer, base, account, project, privateKey string, ps []simulator.Participant) {
	_, _ = fmt.Fprintf(out, "MyDataHelps simulator: %s\n\n  token endpoint   %s/identityserver/connect/token\n  service account  %s\n  project          %s\n",
		base, base, account, project)
	if privateKey != "" {
		_, _ = fmt.Fprintf(out, "  private key      %s\n", privateKey)
	}
	_, _ = fmt.Fprintf(out, "  participants     %d\n", len(ps))
	for _, p := range ps[:min(len(ps), 5)] {
		_, _ = fmt.Fprintf(out, "    %s  %s  %s %s\n", p.ID, p.Identifier, p.FirstName, p.LastName)
	}
	_, _ = fmt.Fprintf(out, `
  what it received     curl %[1]s/_simulator/records
  totals               curl %[1]s/_simulator/counts
  switches             curl %[1]s/_simulator/settings
  change one           curl -X PATCH -d '{"participantTokenLifetime":155}' %[1]s/_simulator/settings
  revoke all tokens    curl -X POST -d '{"participantID":""}' %[1]s/_simulator/revoke

Ctrl-C stops it.
`, base)
}
