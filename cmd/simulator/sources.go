// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// sourcesCommand serves simulated vendors of data sources, each at an address of its
// own, until ctx ends.
func sourcesCommand(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("simulator sources", flag.ContinueOnError)
	var at listener
	var vendors, modes, redirects []string
	client := sources.Client{Name: "My app"}
	at.register(flags, "127.0.0.1:8083")
	flags.StringVar(&client.ID, "client-id", "simulated-app", "`ID` of the application, at each vendor; the consumer key of OAuth 1.0a")
	flags.StringVar(&client.Secret, "client-secret", "simulated-client-secret", "`secret` of the application; invent one; empty: a public client")
	who := flags.String("accounts", "2", "`number` of made-up people at each vendor, or a JSON file with a list of them")
	keys := flags.String("jwks", "", "`file` with the public keys of the application, for private_key_jwt")
	for name, list := range map[string]*[]string{"vendor": &vendors, "redirect-uri": &redirects, "mode": &modes} {
		usage := map[string]string{
			"vendor":       "`preset` of a vendor; may be repeated: the next listens one port higher (default: city_lab, old_lab); there are " + strings.Join(sources.Presets(), ", "),
			"redirect-uri": "`URI` to which people may be led back; may be repeated (default: any on this machine)",
			"mode":         "`mode` of failing to begin with; may be repeated; /_simulator/modes lists them",
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
	if vendors == nil {
		vendors = []string{sources.CityLab, "old_lab"}
	}
	for _, preset := range vendors {
		if !slices.Contains(sources.Presets(), preset) {
			return fmt.Errorf("--vendor: there is no preset %q; there are %s", preset, strings.Join(sources.Presets(), ", "))
		}
	}
	if at.publicURL != "" && len(vendors) > 1 {
		return fmt.Errorf("--public-url is that of one vendor, and --vendor names %d: run one simulator for each", len(vendors))
	}
	for _, uri := range redirects {
		if u, err := url.Parse(uri); err != nil || !u.IsAbs() || u.Fragment != "" {
			return fmt.Errorf("--redirect-uri: %q is no absolute address without a fragment", uri)
		}
	}
	client.RedirectURIs = redirects
	var err error
	if *keys != "" {
		b, err := os.ReadFile(*keys)
		if err == nil {
			err = json.Unmarshal(b, &client.Keys)
		}
		if err != nil {
			return fmt.Errorf("--jwks: %s: want a JSON Web Key Set: %w", *keys, err)
		}
	}
	accounts, err := people("accounts", *who, 100000, sources.SampleAccounts)
	if err != nil {
		return err
	}
	var all []*sources.Vendor
	for _, preset := range vendors {
		v := sources.New(sources.Options{Preset: preset, Clients: []sources.Client{client}, Accounts: accounts})
		if err := v.SetMode(modes...); err != nil {
			return fmt.Errorf("--mode: %w", err)
		}
		all = append(all, v)
	}
	return serveVendors(ctx, at, all, func(base string, v *sources.Vendor) { printVendor(out, base, v, client) })
}

// serveVendors serves each at a port of its own. If one cannot be served, none is.
func serveVendors(ctx context.Context, at listener, all []*sources.Vendor, welcome func(base string, v *sources.Vendor)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, len(all))
	running := 0
	end := func(err error) error {
		stop()
		for ; running > 0; running-- {
			<-served //nolint:errcheck // the first one is told
		}
		return err
	}
	for i, v := range all {
		next, err := at.above(i)
		if err != nil {
			return end(err)
		}
		welcomed := make(chan struct{})
		go func() {
			served <- next.serve(ctx, v, func(base string) {
				welcome(base, v)
				close(welcomed)
			})
		}()
		running++
		select {
		case <-welcomed: // the next one then, so that they are listed in order
		case err := <-served:
			running--
			return end(err)
		}
	}
	err := <-served
	running--
	return end(err)
}

func printVendor(out io.Writer, base string, v *sources.Vendor, client sources.Client) {
	s := v.Settings()
	_, _ = fmt.Fprintf(out, `%s simulator: %s

  preset             %s
  page of consent    %s%s
`, v.Name(), base, s.Preset, base, s.Paths.Authorize)
	switch s.Protocol {
	case sources.OAuth1:
		_, _ = fmt.Fprintf(out, "  request token      %s%s\n  access token       %[1]s%[3]s\n", base, s.Paths.RequestToken, s.Paths.Token)
	case sources.SMART:
		_, _ = fmt.Fprintf(out, "  FHIR base          %s%s\n", base, s.Paths.Data)
	default:
		_, _ = fmt.Fprintf(out, "  token endpoint     %s%s\n", base, s.Paths.Token)
	}
	_, _ = fmt.Fprintf(out, `  API                %[1]s%[2]s
  data               %[5]s
  scopes             %[6]s
  client ID          %[3]s
  client secret      %[4]s

  what it received   curl %[1]s/_simulator/records
  consents           curl %[1]s/_simulator/grants
  how it can fail    curl %[1]s/_simulator/modes
  fail               curl -X POST -d '{"modes":["500"]}' %[1]s/_simulator/mode
  work again         curl -X POST -d '{"modes":[]}' %[1]s/_simulator/mode
  expire all tokens  curl -X POST %[1]s/_simulator/expire
  people withdraw    curl -X POST -d '{}' %[1]s/_simulator/withdraw

`, base, s.Paths.Data, client.ID, client.Secret, strings.Join(sources.Resources(), ", "), cmp.Or(strings.Join(s.Scopes, " "), "none"))
}
