// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a fresh Debian in a folder, which has no systemd running. Its network is
// that of this machine.
type machine struct {
	t    *testing.T
	root string
}

// run runs a command on the machine as root, and returns what it prints.
func (m machine) run(command ...string) string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "chroot", append([]string{m.root}, command...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// sandbox lays the file system out as the unit has it, in a mount namespace of its
// own, and runs a command as the unit's user: only the state, the runtime and the log
// folder can be written to, /tmp is empty, and credentials are memory.
const sandbox = `
set -eu
root=$1; shift
mkdir -p "$root/run/caddy" "$root/var/log/caddy" "$root/run/credentials/caddy.service"
chroot "$root" chown caddy:caddy /run/caddy /var/log/caddy
mount --bind "$root" "$root"
for folder in var/lib/caddy run/caddy var/log/caddy; do mount --bind "$root/$folder" "$root/$folder"; done
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=0000 tmpfs "$root/root"
mount -t proc proc "$root/proc"
credentials=$root/run/credentials/caddy.service
mount -t tmpfs -o mode=0755 tmpfs "$credentials"
for file in "$root"/etc/caddy/credentials/*; do
	test -e "$file" || continue
	cp "$file" "$credentials/secret_${file##*/}"
done
chroot "$root" chown -R caddy:caddy /run/credentials/caddy.service
find "$credentials" -type f -exec chmod 0400 {} +
mount -o remount,ro "$credentials"
mount -o remount,bind,ro "$root"
umask 0077
exec chroot "$root" setpriv --reuid caddy --regid caddy --clear-groups --no-new-privs \
	--bounding-set -all,+net_bind_service --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service \
	/usr/bin/env -i PATH=/usr/bin:/bin HOME=/var/lib/caddy "$@"
`

// command is a command of the unit, as it runs under the unit's restrictions.
func (m machine) command(setting string, environment ...string) *exec.Cmd {
	m.t.Helper()
	u := readUnit(m.t, filepath.Join(m.root, "usr/lib/systemd/system/caddy.service"))
	args := []string{"--mount", "--propagation", "private", "sh", "-c", sandbox, "sandbox", m.root}
	args = append(args, environment...)
	args = append(args, "FILTERED="+strings.Trim(strings.ReplaceAll(fmt.Sprint(systemCalls(m.t, u)), " ", ","), "[]"),
		"/filtered", "-test.run=^TestFilteredProcess$", "--")
	args = append(args, strings.Fields(u[setting][0])...)
	return exec.CommandContext(m.t.Context(), "unshare", args...)
}

// start starts the service, waits until it says that it is ready, as systemd does
// with Type=notify, and returns what stops it.
func (m machine) start(environment ...string) (stop func()) {
	m.t.Helper()
	address := filepath.Join(m.root, "run", "notify")
	_ = os.Remove(address)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	defer notify.Close()
	if err := os.Chmod(address, 0o777); err != nil {
		m.t.Fatal(err)
	}
	cmd := m.command("ExecStart", append(environment, "NOTIFY_SOCKET=/run/notify")...)
	log, err := os.Create(filepath.Join(m.t.TempDir(), "log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("the service's log:\n%s", read(m.t, log.Name()))
		}
	})
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			m.t.Error("the service does not stop")
		}
	}
	if err := ready(notify); err != nil {
		_ = cmd.Process.Kill()
		<-ended
		m.t.Fatalf("the service is not ready: %v\n%s", err, read(m.t, log.Name()))
	}
	return stop
}

// ready waits for READY=1.
func ready(notify *net.UnixConn) error {
	message := make([]byte, 4096)
	for end := time.Now().Add(30 * time.Second); ; {
		if err := notify.SetReadDeadline(end); err != nil {
			return err
		}
		n, err := notify.Read(message)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("within half a minute it did not say so")
		} else if err != nil {
			return err
		}
		if bytes.Contains(message[:n], []byte("READY=1")) {
			return nil
		}
	}
}
