// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// mydexCommand serves a simulated Mydex, all its hosts on one address, until ctx ends.
func mydexCommand(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("simulator mydex", flag.ContinueOnError)
	var o mydex.Options
	var at listener
	at.register(flags, "127.0.0.1:8081")
	flags.StringVar(&o.ClientID, "client-id", "5e1f0000-0000-4000-8000-00000000c11e", "`ID` of the OAuth 2.0 client")
	flags.StringVar(&o.ClientSecret, "client-secret", "simulated-client-secret", "`secret` of the OAuth 2.0 client; invent one")
	flags.StringVar(&o.ConnectionNID, "connection-nid", "45678", "`NID` of the dedicated connection")
	flags.StringVar(&o.ConnectionToken, "connection-token", "simulated-connection-token", "`token` of the dedicated connection; invent one")
	flags.StringVar(&o.CallbackURL, "callback-url", "", "`URL` that is called when a member has agreed")
	flags.StringVar(&o.LoginURL, "login-url", "", "`URL` at which browsers reach the pages, without a path (default: where the link was asked for)")
	who := flags.String("members", "2", "`number` of made-up members, or a JSON file with a list of them")
	flags.Func("scope", "`scope` that the client may ask for; may be repeated (default: mydex:pdx and those of all feature blocks)", func(scope string) error {
		o.Scopes = append(o.Scopes, scope)
		return nil
	})
	if err := parse(flags, args, errOut); err != nil {
		return err
	}
	if err := at.check(); err != nil {
		return err
	}
	if o.Scopes == nil {
		o.Scopes = mydex.AllScopes()
	}
	var err error
	if o.Members, err = people("members", *who, 100000, mydex.SampleMembers); err != nil {
		return err
	}
	sim := mydex.New(o)
	for _, p := range o.Members {
		sim.FillSample(p)
	}
	return at.serve(ctx, sim, func(base string) { printMydex(out, base, o) })
}

func printMydex(out io.Writer, base string, o mydex.Options) {
	callback := o.CallbackURL
	if callback == "" {
		callback = "none yet"
	}
	_, _ = fmt.Fprintf(out, `Mydex simulator: %[1]s

  token endpoint     %[1]s/oauth2/token
  PDX                %[1]s
  identity service   %[1]s
  client ID          %[2]s
  client secret      %[3]s
  connection NID     %[4]s
  connection token   %[5]s
  callback URL       %[6]s
  members            %[7]d
`, base, o.ClientID, o.ClientSecret, o.ConnectionNID, o.ConnectionToken, callback, len(o.Members))
	for _, p := range o.Members[:min(len(o.Members), 5)] {
		_, _ = fmt.Fprintf(out, "    %s  %s  identifier %s  MyAccount %s  ScotAccount %s\n", p.UID, p.MydexID, p.Identifier(), p.MyAccountSVT(), p.ScotAccountSub())
	}
	_, _ = fmt.Fprintf(out, `
  what it received     curl %[1]s/_simulator/records
  what it called back  curl %[1]s/_simulator/deliveries
  who is connected     curl %[1]s/_simulator/connections
  switches             curl %[1]s/_simulator/settings
  change one           curl -X PATCH -d '{"callback":"held"}' %[1]s/_simulator/settings
  set the callback     curl -X POST -d '{"url":"http://127.0.0.1:8080/connect/mydex/callback"}' %[1]s/_simulator/callback
  withdraw             curl -X POST -d '{"uid":"4020"}' %[1]s/_simulator/withdraw
  revoke all tokens    curl -X POST %[1]s/_simulator/revoke

Ctrl-C stops it.
`, base)
}
