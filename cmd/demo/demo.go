// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const defaultPort = 8400

//go:embed Caddyfile
var template string

// demo is the running demo.
type demo struct {
	stack     *stack.Stack
	caddyfile string // in use
	exchanges exchanges
	mydex     *mydexPlatform
	health    *healthPlatform
	vendors   *vendors

	admin  *admin
	issuer *issuer
	crowd  *crowd
	carol  *regularUser
	ctx    context.Context // ends with the demo
	cancel context.CancelFunc
}

// start starts everything, with Caddy at a port of the loopback address.
func start(dir string, port int) (*demo, error) {
	s, err := stack.New(dir)
	if err != nil {
		return nil, fmt.Errorf("starting the platform and the app: %w", err)
	}
	d := &demo{stack: s, admin: newAdmin(dir), issuer: newIssuer(s.Platform)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if port != 0 {
		s.Port = port
	}
	// Both need the address that Caddy will have.
	d.crowd, d.carol = newCrowd(s, d.issuer), newRegular(s)
	s.Intercept(d.issuer.serve)
	if d.mydex, err = newMydexPlatform(s); err != nil {
		d.Close()
		return nil, fmt.Errorf("starting Mydex: %w", err)
	}
	if d.health, err = newHealthPlatform(s); err != nil {
		d.Close()
		return nil, fmt.Errorf("starting the data platform: %w", err)
	}
	if d.vendors, err = newVendors(s); err != nil {
		d.Close()
		return nil, fmt.Errorf("starting the vendors of data: %w", err)
	}
	if d.caddyfile, err = s.Render(template); err != nil {
		d.Close()
		return nil, fmt.Errorf("writing the Caddyfile: %w", err)
	}
	d.serve()
	if err := s.Load(template); err != nil {
		d.Close()
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	return d, nil
}

// Close ends the demo.
func (d *demo) Close() {
	d.cancel()
	d.carol.set(false)
	d.admin.close()
	d.stack.Close()
	if d.mydex != nil {
		d.mydex.server.Close()
	}
	if d.health != nil {
		d.health.server.Close()
	}
	if d.vendors != nil {
		d.vendors.close()
	}
}

// choosePort returns 0 for any free port.
func choosePort(port int, chosen bool) (int, error) {
	if port == 0 {
		return 0, nil
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return port, l.Close()
	case chosen:
		return 0, fmt.Errorf("port %d cannot be used, choose another with --port or 0 for any: %w", port, err)
	default:
		return 0, nil
	}
}
