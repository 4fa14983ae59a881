// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

// process is a running server program.
type process struct {
	command *exec.Cmd
	log     bytes.Buffer
	exited  chan struct{}
}

// launch starts a program in a folder, as an account, and waits until the
// database behind the address answers.
func launch(command *exec.Cmd, dir string, account *syscall.SysProcAttr, address string) (*process, error) {
	p := &process{command: command, exited: make(chan struct{})}
	command.Dir, command.SysProcAttr, command.Stderr = dir, account, &p.log
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() { _ = command.Wait(); close(p.exited) }()
	db, err := sql.Open("pgx", address)
	if err != nil {
		p.end(syscall.SIGQUIT)
		return nil, err
	}
	defer db.Close()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if err = db.PingContext(context.Background()); err == nil {
			return p, nil
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("%s ended: %s", command.Path, p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.end(syscall.SIGQUIT)
			return nil, fmt.Errorf("%s does not answer: %w", command.Path, err)
		}
	}
}

// end sends a signal, and kills the process unless it ends by that.
func (p *process) end(signal os.Signal) {
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

// onFreePort calls start with a free port, and again with another one if that
// fails: somebody else may take the port between our asking and its listening.
func onFreePort(start func(port int) error) (err error) {
	for range 5 {
		var free int
		if free, err = port.Free(); err != nil {
			return err
		}
		if err = start(free); err == nil {
			return nil
		}
	}
	return err
}
