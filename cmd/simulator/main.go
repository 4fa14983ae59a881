// SPDX-License-Identifier: Apache-2.0

// Command simulator plays a platform on loopback, for development without an
// account. Run it with -h to see how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: simulator <platform> [flags]

platforms:
  mydatahelps    token endpoint, administrative and delegated API

simulator <platform> -h lists the flags.
`

func main() {
	if len(os.Args) < 2 || os.Args[1] != "mydatahelps" {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := myDataHelps(ctx, os.Args[2:], os.Stdout, os.Stderr); {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}
