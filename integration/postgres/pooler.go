// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

// Pooler is a PgBouncer in front of a server, in transaction mode: what a client
// sends goes to whichever of a few connections is free, from one transaction to
// the next.
type Pooler struct {
	dir     string
	port    int
	command *exec.Cmd
	log     bytes.Buffer
	exited  chan struct{}
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
	// Somebody else may take the port between our asking and its listening.
	for range 5 {
		if p.port, err = port.Free(); err != nil {
			break
		}
		if err = p.launch(s, program, size); err == nil {
			return p, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
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
	p.log.Reset()
	p.command = exec.Command(program, file)
	p.command.Dir, p.command.SysProcAttr, p.command.Stderr = p.dir, s.account, &p.log
	if err := p.command.Start(); err != nil {
		return err
	}
	p.exited = make(chan struct{})
	go func() { _ = p.command.Wait(); close(p.exited) }()
	db, err := sql.Open("pgx", p.Database(s.url("postgres"))+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err = db.PingContext(context.Background()); err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("pgbouncer ended: %s", p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.end()
			return fmt.Errorf("pgbouncer does not answer: %w", err)
		}
	}
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

func (p *Pooler) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // at once, whoever is connected
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

// Stop ends the pooler and removes its files.
func (p *Pooler) Stop() error {
	p.end()
	return os.RemoveAll(p.dir)
}
