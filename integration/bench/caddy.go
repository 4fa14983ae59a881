// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	// prefix is where the proxies have the platform.
	prefix = "/mdh"
	// route is what the load asks for.
	route = "/api/v1/delegated/participant"
)

// server is something that load can be sent to.
type server struct {
	addr      string // host:port
	processes []*process
}

// cpu is the CPU time that its processes have used so far.
func (s *server) cpu() (sum time.Duration, err error) {
	for _, p := range s.processes {
		used, err := cpu(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// caddyfile is a configuration with one site on a free port of loopback.
type caddyfile struct {
	options string // more global options
	site    string // behind prefix, with who is signed in
	consent string // behind consentsPath, with who is signed in; may be empty
	admin   string // a socket; "" is none
	program string // that plays the role; "" is this one
}

// caddy starts a Caddy of its own.
func (b *bench) caddy(ctx context.Context, name string, c caddyfile) (*server, error) {
	port, err := port.Free()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, name+"-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "Caddyfile")
	if c.consent != "" {
		c.consent = "\thandle_path " + consentsPath + "/* {\n\t\tbench_session\n" + c.consent + "\n\t}\n"
	}
	admin := "off"
	if c.admin != "" {
		admin = "unix/" + c.admin
	}
	text := fmt.Sprintf(`{
	admin %s
	default_bind 127.0.0.1
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system %s
	log {
		level ERROR
	}
	servers {
		protocols h1 h2c
	}
%s
}

http://127.0.0.1:%d {
	handle_path %s/* {
		bench_session
%s
	}
%s}
`, admin, dir, c.options, port, prefix, c.site, c.consent)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	program := c.program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	p, out, err := b.spawn(name, program, "role", "caddy", file)
	if err != nil {
		return nil, err
	}
	p.watch(out)
	s := &server{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), processes: []*process{p}}
	return s, p.await(ctx, s.addr)
}

// delegated is the configuration of this project's module.
type delegated struct {
	platform string // address with scheme
	key      string // file
	by       string // participant_id or participant_identifier
	options  string // more options of delegate, such as tokens
	proxy    string // block of delegate_proxy
}

func (d delegated) caddyfile() caddyfile {
	return caddyfile{
		options: fmt.Sprintf(`
	delegate {
		provider mydatahelps {
			base_url        %s
			project         %s
			service_account %s
			private_key     {file.%s}
			scopes          Participant:read
			%s
		}
%s
	}`, d.platform, stack.Project, stack.Account, d.key, d.by, d.options),
		site: "\t\tdelegate_proxy mydatahelps" + d.proxy,
	}
}

// inFlight asks a Caddy how many requests it is handling.
func (s *server) inFlight(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+prefix+inFlightPath, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
