// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/refusals"
)

// whyQuestion is what `caddy delegate why` is asked.
type whyQuestion struct {
	adminEndpoint
	requestID string // empty: the newest refusals
	last      int
	code      string
	asJSON    bool
}

func whyCommand() *cobra.Command {
	var q whyQuestion
	cmd := &cobra.Command{
		Use:   "why [<request id>]",
		Short: "Tells why a running Caddy has refused a request",
		Long: fmt.Sprintf(`
Every refusal has the ID of its request: as "request_id" in its JSON, in the log
line "refused", and as "uuid" in Caddy's access log. Give it to this command, and
a running Caddy tells the step in which the request was refused, provider, route,
cause and mend; nobody's name. Without an ID it tells the newest refusals.

Each Caddy process keeps, in memory, the %d newest refusals of each code. What it
does not keep any more, or another machine has refused, is in the log there.

It ends with code 0 if there is an answer.`, refusals.PerCode),
		Args: cobra.MaximumNArgs(1),
	}
	q.flags(cmd)
	cmd.Flags().IntVar(&q.last, "last", 10, "Without an ID: how many of the newest refusals to tell")
	cmd.Flags().StringVar(&q.code, "code", "", "Without an ID: only refusals with this code")
	cmd.Flags().BoolVar(&q.asJSON, "json", false, "Print JSON")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		q.requestID = fl.Arg(0)
		if err := q.run(cmd.OutOrStdout()); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// run asks and prints.
func (q *whyQuestion) run(out io.Writer) error {
	if q.last < 1 {
		return errors.New("--last is a number of refusals, of 1 at least")
	}
	about := url.Values{"last": {strconv.Itoa(q.last)}, "code": {q.code}}
	if q.requestID != "" {
		about = url.Values{"request_id": {q.requestID}}
	}
	var answer refusals.Answer
	if err := q.get("/delegate/refusals?"+about.Encode(), &answer); err != nil {
		return err
	}
	if q.asJSON {
		if err := json.NewEncoder(out).Encode(answer); err != nil {
			return err
		}
	} else {
		for _, r := range answer.Refusals {
			printRefusal(out, &r)
		}
	}
	if q.requestID != "" && len(answer.Refusals) == 0 {
		return fmt.Errorf("this Caddy process has no refusal of that request: it keeps the %d newest of each code, since %s; ask the other machines (--address), or search their logs for the ID",
			refusals.PerCode, answer.Since.Format(time.RFC3339))
	}
	if len(answer.Refusals) == 0 && !q.asJSON {
		fmt.Fprintln(out, "nothing was refused since", answer.Since.Format(time.RFC3339))
	}
	return nil
}

// printRefusal prints a refusal: a line, and one for each thing that is known.
func printRefusal(out io.Writer, r *refusals.Record) {
	fmt.Fprintf(out, "%s  %s (%d)\n", r.Time.Format(time.RFC3339), QuoteForTerminal(string(r.Code)), r.Status)
	asked := r.Method
	if r.Route != "" {
		asked += " " + r.Route
	}
	for _, line := range [][2]string{
		{"request", r.RequestID},
		{"step", string(r.Step)},
		{"provider", r.Provider},
		{"source", r.Source},
		{"route", asked},
		{"cause", r.Cause},
		{"mend", r.Mend},
	} {
		if line[1] != "" {
			fmt.Fprintf(out, "  %-9s %s\n", line[0], QuoteForTerminal(line[1]))
		}
	}
}
