// SPDX-License-Identifier: Apache-2.0

// Command demo runs the whole way of a request on this machine: a simulated
// MyDataHelps, Mydex, data platform with a Connect widget and four vendors of data,
// Caddy with the delegate modules, and a small app to sign in to. It prints the
// address of a page on which it can be watched, and the Caddyfile in use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process whatever it is still waiting for.
	context.AfterFunc(ctx, stop)
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// errUsage is a bad command line, which has been reported already.
var errUsage = errors.New("usage")

// run runs the demo until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	port, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "caddy-delegate-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() {
		if e := os.RemoveAll(dir); e != nil && err == nil {
			err = fmt.Errorf("removing the demo's folder: %w", e)
		}
	}()
	// Caddy notes an instance ID beside its data, wherever its storage is.
	if err := os.Setenv("XDG_DATA_HOME", dir); err != nil {
		return err
	}
	d, err := start(dir, port)
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Fprintf(stdout, "Caddy runs with this Caddyfile:\n\n%s\nOpen %s/ in a browser. Ctrl-C stops everything.\n", d.caddyfile, d.stack.URL())
	<-ctx.Done()
	fmt.Fprintln(stdout, "Stopping.")
	return nil
}

func parseFlags(args []string, stderr io.Writer) (port int, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&port, "port", defaultPort, "Caddy's `port` on 127.0.0.1; 0 takes any free one, and so does the default if it is taken")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, err
		}
		return 0, errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "demo takes no argument such as %q; run it with -h to see its flags\n", flags.Arg(0))
		return 0, errUsage
	}
	chosen := false
	flags.Visit(func(*flag.Flag) { chosen = true })
	return choosePort(port, chosen)
}
