// SPDX-License-Identifier: Apache-2.0

// Package postgres runs a real PostgreSQL for tests: on a port of the loopback
// address, with all it writes in one folder.
package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// Server is a PostgreSQL.
type Server struct {
	dir, bin string
	port     int
	account  *syscall.SysProcAttr // PostgreSQL does not run as root
	*process
}

// Start makes a server and waits until it answers. Stop ends it.
func Start() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, account: &syscall.SysProcAttr{}}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := onFreePort(func(free int) error { s.port = free; return s.Launch() }); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// programs is the folder of PostgreSQL's programs.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		file, err := exec.LookPath("postgres")
		if err != nil {
			return "", fmt.Errorf("PostgreSQL is missing: apt-get install postgresql: %w", err)
		}
		return filepath.Dir(file), nil
	}
	slices.Sort(found)
	return found[len(found)-1], nil
}

func (s *Server) initialize() error {
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			return fmt.Errorf("root cannot run PostgreSQL: %w", err)
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
		s.account.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	c := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", filepath.Join(s.dir, "data"), "--username", "test", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	c.Dir, c.SysProcAttr = s.dir, s.account
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// Launch starts the server again after Kill, on the same port.
func (s *Server) Launch() error {
	// Tests kill the server and never the machine: what it has handed to the operating
	// system is not lost, so it need not wait for the disk. POSTGRES_FSYNC=on has it
	// wait, for figures.
	fsync := cmp.Or(os.Getenv("POSTGRES_FSYNC"), "off")
	command := exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", s.dir, "-c", "fsync="+fsync)
	p, err := launch(command, s.dir, s.account, s.url("postgres"))
	if err == nil {
		s.process = p
	}
	return err
}

// Kill ends the server at once, in the middle of what it does.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	<-s.exited
	// Its processes notice, and let go of the shared memory.
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !s.hasProcesses() {
			break
		}
	}
	_ = os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
}

// hasProcesses tells whether any process still has the data folder open as its
// working folder.
func (s *Server) hasProcesses() bool {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, s.dir+"/data") {
			return true
		}
	}
	return false
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	s.end(syscall.SIGQUIT)
	return os.RemoveAll(s.dir)
}

// Program is the path of one of PostgreSQL's programs.
func (s *Server) Program(name string) string { return filepath.Join(s.bin, name) }

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://test@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Database makes an empty database and returns its address.
func (s *Server) Database(ctx context.Context) (string, error) {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.url(name), nil
}

// Exec has the server's owner run statements in a database.
func (s *Server) Exec(ctx context.Context, address, text string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, text)
	return err
}
