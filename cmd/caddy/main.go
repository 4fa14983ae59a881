// SPDX-License-Identifier: Apache-2.0

// Command caddy is stock Caddy with the delegate modules compiled in.
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-delegate/caddy-delegate/caddymodule"
)

func main() {
	caddycmd.Main()
}
