// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startTimeout is what a child may take until it listens.
const startTimeout = 30 * time.Second

// process is a child of this run.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with what it wrote to stderr
	over chan struct{} // closed when it has ended
}

// roles are what this program can be as a child of itself.
var roles = map[string]func(args []string) error{
	"upstream":      playUpstream,
	"platform":      playPlatform,
	"vendor":        playVendor,
	"authenticator": playAuthenticator,
	"handwritten":   playHandwritten,
	"caddy":         playCaddy,
	"memory":        playMemory,
}

func perform(role string, args []string) error {
	f, ok := roles[role]
	if !ok {
		return fmt.Errorf("there is no role %q", role)
	}
	return f(args)
}

// spawn starts a program. It is killed with this process, however that ends.
func (b *bench) spawn(name, program string, args ...string) (*process, io.Reader, error) {
	p := &process{name: name, over: make(chan struct{}), log: filepath.Join(b.dir, fmt.Sprintf("%d-%s.log", len(b.processes), name))}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close() // the child has its own
	p.cmd = exec.Command(program, args...)
	p.cmd.Stderr = log
	// Caddy notes an instance ID in its data folder, wherever its storage is.
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "HOME="+b.dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", name, err)
	}
	b.processes = append(b.processes, p)
	return p, out, nil
}

// watch notices the end of a process. Its output is to be read before.
func (p *process) watch(out io.Reader) {
	go func() {
		defer close(p.over)
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait()
	}()
}

// start starts a role of this program that listens on a port of its choice,
// and returns the address it prints.
func (b *bench) start(role string, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, out, err := b.spawn(role, self, append([]string{"role", role}, args...)...)
	if err != nil {
		return nil, "", err
	}
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n') // it prints it, or ends
	p.watch(in)
	if err != nil {
		<-p.over
		return nil, "", p.died()
	}
	return p, strings.TrimSpace(line), nil
}

// died tells why a process ended that should not have.
func (p *process) died() error {
	text, _ := os.ReadFile(p.log)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return fmt.Errorf("%s ended (%s): %s", p.name, p.cmd.ProcessState, strings.TrimSpace(string(text)))
}

// await returns when somebody listens at the address.
func (p *process) await(ctx context.Context, addr string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.over:
			return p.died()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not listen on %s after %s", p.name, addr, startTimeout)
		}
	}
}

// kill ends the process and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.over
}

func (b *bench) stopAll() {
	for _, p := range b.processes {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range b.processes {
		<-p.over
	}
	b.processes = nil
	for _, end := range b.ends {
		end()
	}
	b.ends = nil
}

// serve is what the roles do: listen somewhere, print where, and answer until
// the process is killed.
func serve(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	err = (&http.Server{Handler: h}).Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
