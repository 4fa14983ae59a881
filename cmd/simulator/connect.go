// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// connectCommand serves a simulated Developer Console, its hosts on one address,
// until ctx ends.
func connectCommand(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("simulator connect", flag.ContinueOnError)
	var o connect.Options
	var at listener
	var modes []string
	app := connect.Application{Name: "My app"}
	at.register(flags, "127.0.0.1:8082")
	flags.StringVar(&app.ClientID, "client-id", "simulated-app", "`ID` of the application; more can be created in the console")
	flags.StringVar(&app.ClientSecret, "client-secret", "simulated-client-secret", "`secret` of the application; invent one")
	flags.StringVar(&o.Preset, "preset", connect.DeveloperConsole, "`words` on the wire: "+connect.DeveloperConsole+" or "+connect.HumanConnectV1)
	who := flags.String("accounts", "2", "`number` of made-up people at the platform, or a JSON file with a list of them")
	for name, list := range map[string]*[]string{"origin": &app.Origins, "finish-url": &app.FinishURLs, "mode": &modes} {
		usage := map[string]string{
			"origin":     "`origin` whose pages may open the widget; may be repeated (default: any on this machine)",
			"finish-url": "`URL` to which the widget may lead as a page of its own; may be repeated",
			"mode":       "hostile `mode` to begin with; may be repeated; the console lists them",
		}[name]
		flags.Func(name, usage, func(value string) error {
			*list = append(*list, value)
			return nil
		})
	}
	if err := parse(flags, args, errOut); err != nil {
		return err
	}
	if err := at.check(); err != nil {
		return err
	}
	if o.Preset != connect.DeveloperConsole && o.Preset != connect.HumanConnectV1 {
		return fmt.Errorf("--preset: %q is neither %s nor %s", o.Preset, connect.DeveloperConsole, connect.HumanConnectV1)
	}
	var err error
	if o.Accounts, err = people("accounts", *who, 100000, connect.SampleAccounts); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i, a := range o.Accounts {
		if seen[a.UserCode] {
			return fmt.Errorf("--accounts: entry %d: userCode %q is there twice", i+1, a.UserCode)
		}
		seen[a.UserCode] = true
	}
	sim := connect.New(o)
	if app, err = sim.Register(app); err != nil {
		return fmt.Errorf("--origin: %w", err)
	}
	if err := sim.SetMode(modes...); err != nil {
		return fmt.Errorf("--mode: %w", err)
	}
	return at.serve(ctx, sim, func(base string) { printConnect(out, base, o, app) })
}

func printConnect(out io.Writer, base string, o connect.Options, app connect.Application) {
	_, _ = fmt.Fprintf(out, `Connect simulator: %[1]s

  console            %[1]s
  exchange           %[1]s/v1/connect/tokens
  API                %[1]s
  widget             %[1]s/connect.js
  preset             %[2]s
  client ID          %[3]s
  client secret      %[4]s
  accounts           %[5]d
`, base, o.Preset, app.ClientID, app.ClientSecret, len(o.Accounts))
	for _, a := range o.Accounts[:min(len(o.Accounts), 5)] {
		_, _ = fmt.Fprintf(out, "    %s  %s\n", a.UserCode, a.Name)
	}
	_, _ = fmt.Fprintf(out, `
  what it received       curl %[1]s/_simulator/records
  who is connected       curl %[1]s/_simulator/connections
  connect, no widget     curl -X POST -d '{"clientId":"%[2]s","clientUserId":"someone","userCode":"%[3]s"}' %[1]s/_simulator/connect
  behave badly           curl -X POST -d '{"modes":["echo_another"]}' %[1]s/_simulator/mode
  behave                 curl -X POST -d '{"modes":[]}' %[1]s/_simulator/mode
  switches               curl %[1]s/_simulator/settings
  revoke an access token curl -X POST -d '{"clientId":"%[2]s","userCode":"%[3]s"}' %[1]s/_simulator/revoke

Ctrl-C stops it.
`, base, app.ClientID, firstAccount(o.Accounts))
}

// firstAccount is whom the printed examples are about.
func firstAccount(all []connect.Account) string {
	if len(all) == 0 {
		return "…"
	}
	return all[0].UserCode
}
