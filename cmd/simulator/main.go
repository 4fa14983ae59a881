// SPDX-License-Identifier: Apache-2.0

// Command simulator plays a platform on loopback, for development without an
// account. Run it with -h to see how.
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

const usage = `usage: simulator <platform> [flags]

platforms:
  connect        Developer Console: applications, Connect widget, token exchange and a data API
  mydatahelps    token endpoint, administrative and delegated API
  mydex          OAuth 2.0 server, Personal Data eXchange, and the pages by which members connect
  sources        vendors of data sources, by OAuth 2.0, SMART App Launch and OAuth 1.0a

simulator <platform> -h lists the flags.
`

// platforms are the commands by name. Each serves until ctx ends.
var platforms = map[string]func(ctx context.Context, args []string, out, errOut io.Writer) error{
	"connect":     connectCommand,
	"mydatahelps": myDataHelps,
	"mydex":       mydexCommand,
	"sources":     sourcesCommand,
}

func main() {
	var platform func(context.Context, []string, io.Writer, io.Writer) error
	if len(os.Args) > 1 {
		platform = platforms[os.Args[1]]
	}
	if platform == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := platform(ctx, os.Args[2:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp): // it is on the screen
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}
