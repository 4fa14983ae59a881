// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// imageTag is the name of the image that the Dockerfile builds.
const imageTag = "caddy-delegate"

// builder is Buildah, which needs no Docker engine, with its images in a folder of
// the test.
type builder struct {
	t      *testing.T
	folder string
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	b := &builder{t: t, folder: t.TempDir()}
	t.Cleanup(func() { b.run("rm", "--all"); b.run("rmi", "--all", "--force") }) // what it mounts has to go before the folder
	return b
}

// output is what a program prints, without the last line break.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...) // also in a cleanup, when the test's context has ended
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

func (b *builder) run(args ...string) string {
	b.t.Helper()
	all := append([]string{"--storage-driver", "vfs", "--root", filepath.Join(b.folder, "root"), "--runroot", filepath.Join(b.folder, "run")}, args...)
	return output(b.t, "buildah", all...)
}

// toolchain makes the Go image that the Dockerfile begins with, of what is on this
// machine: a shell and the certificate authorities. Go itself, the modules and the
// build cache are mounted when it is built.
func (b *builder) toolchain() {
	b.t.Helper()
	tree := b.t.TempDir()
	for _, folder := range []string{"bin", "tmp", "etc/ssl/certs", "usr/local/go"} {
		if err := os.MkdirAll(filepath.Join(tree, folder), 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	program(b.t, "cp", "/bin/busybox", filepath.Join(tree, "bin"))
	program(b.t, "cp", "/etc/ssl/certs/ca-certificates.crt", filepath.Join(tree, "etc/ssl/certs"))
	for _, applet := range []string{"sh", "cp", "mkdir", "chown", "chmod", "echo"} {
		if err := os.Symlink("busybox", filepath.Join(tree, "bin", applet)); err != nil {
			b.t.Fatal(err)
		}
	}
	made := b.run("from", "scratch")
	b.run("copy", made, tree, "/")
	b.run("config", "--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOPATH=/go", "--env", "GOCACHE=/cache", "--env", "GOPROXY=off", "--env", "GOTOOLCHAIN=local", made)
	b.run("commit", "--quiet", made, "docker.io/library/golang:1.26")
}

// build builds the Dockerfile, and returns the folder with the image's files.
func (b *builder) build() (folder string) {
	b.t.Helper()
	b.toolchain()
	args := []string{"bud", "--isolation", "chroot", "--format", "docker", "--layers=false", "--pull-never", "--build-arg", "VERSION=v0.0.0-test"}
	for variable, at := range map[string]string{"GOROOT": "/usr/local/go", "GOMODCACHE": "/go/pkg/mod", "GOCACHE": "/cache"} {
		args = append(args, "--volume", output(b.t, "go", "env", variable)+":"+at)
	}
	b.run(append(args, "--file", "../cmd/caddy/container/Dockerfile", "--tag", imageTag, "..")...)
	return b.run("mount", b.run("from", "--pull-never", imageTag))
}

// imageConfig is what the image says of how to run it.
type imageConfig struct {
	User        string
	Env         []string
	Entrypoint  []string
	Cmd         []string
	Healthcheck struct{ Test []string }
}

func (b *builder) config() (c imageConfig) {
	b.t.Helper()
	var image struct {
		Docker struct{ Config imageConfig }
	}
	if err := json.Unmarshal([]byte(b.run("inspect", "--type", "image", imageTag)), &image); err != nil {
		b.t.Fatal(err)
	}
	return image.Docker.Config
}

// confined starts a program of the image as a container runtime does: as the image's
// user, who has no capabilities and cannot gain any, with a root that is read-only but
// for the volumes and /tmp. mounts are files of this machine by their path in the
// container. The network is this machine's.
func (c imageConfig) confined(root string, mounts map[string]string, env []string, command ...string) *exec.Cmd {
	script := `set -e
root=$1; user=$2; shift 2
mount --bind "$root" "$root"
mkdir -p "$root/proc"
mount --rbind /proc "$root/proc"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
for volume in data config tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$volume"; done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"`
	args := []string{"--mount", "sh", "-c", script, "sh", root, c.User}
	for in, file := range mounts {
		args = append(args, file, in)
	}
	cmd := exec.Command("unshare", append(append(args, "--"), command...)...)
	cmd.Env = append(append([]string(nil), c.Env...), env...)
	return cmd
}
