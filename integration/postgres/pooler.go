// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Pooler is a PgBouncer in front of a server, in transaction mode: what a client
// sends goes to whichever of a few connections is free, from one transaction to
// the next.
type Pooler struct {
	*process
	dir  string
	port int
}

// Pool starts a PgBouncer with so many connections for a database. Stop ends it.
func (s *Server) Pool(size int) (*Pooler, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		// Debian has it where only root looks.
		if program, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return nil, fmt.Errorf("PgBouncer is missing: apt-get install pgbouncer: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "pgbouncer-")
	if err != nil {
		return nil, err
	}
	p := &Pooler{dir: dir}
	if err := onFreePort(func(free int) error { p.port = free; return p.launch(s, program, size) }); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *Pooler) launch(s *Server, program string, size int) error {
	users := filepath.Join(p.dir, "users.txt")
	settings := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
`, s.port, p.port, users, size)
	file := filepath.Join(p.dir, "pgbouncer.ini")
	for name, text := range map[string]string{users: "\"test\" \"\"\n\"guest\" \"\"\n", file: settings} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	// Like PostgreSQL it does not run as root.
	if account := s.account.Credential; account != nil {
		for _, name := range []string{p.dir, users, file} {
			if err := os.Chown(name, int(account.Uid), int(account.Gid)); err != nil {
				return err
			}
		}
	}
	started, err := launch(exec.Command(program, file), p.dir, s.account, p.Database(s.url("postgres"))+"&default_query_exec_mode=simple_protocol")
	if err == nil {
		p.process = started
	}
	return err
}

// Database is the address of a database, made by [Server.Database], by way of
// the pooler.
func (p *Pooler) Database(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Host = "127.0.0.1:" + strconv.Itoa(p.port)
	return u.String()
}

// Stop ends the pooler and removes its files.
func (p *Pooler) Stop() error {
	p.end(syscall.SIGTERM) // at once, whoever is connected
	return os.RemoveAll(p.dir)
}
