// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// TestCaddyProcess is no test: this program is the command caddy of the shells
// below.
func TestCaddyProcess(t *testing.T) {
	at := slices.Index(os.Args, "--")
	if os.Getenv("INTEGRATION_CADDY") == "" || at < 0 {
		t.Skip("it is run by other tests")
	}
	os.Args = append([]string{"caddy"}, os.Args[at+1:]...)
	caddycmd.Main()
	os.Exit(0) // before anything is said of tests
}

// shell is an operator's, in a folder of its own where caddy is this build.
type shell struct {
	t    *testing.T
	dir  string
	root string // of the repository
}

func newShell(t *testing.T) *shell {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sh := &shell{t, t.TempDir(), root}
	caddy := write(t, filepath.Join(sh.dir, "caddy"), "#!/bin/sh\nINTEGRATION_CADDY=1 exec "+program+` -test.run='^TestCaddyProcess$' -test.timeout=0 -- "$@"`+"\n")
	if err := os.Chmod(caddy, 0o700); err != nil {
		t.Fatal(err)
	}
	return sh
}

// run runs lines of a page, of which some are replaced, until they fail. What
// they leave running ends with the shell.
func (sh *shell) run(text string, replaced ...string) (out string) {
	sh.t.Helper()
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(text, replaced[i]) {
			sh.t.Fatalf("there is no %q in\n%s", replaced[i], text)
		}
		text = strings.ReplaceAll(text, replaced[i], replaced[i+1])
	}
	output, err := os.Create(filepath.Join(sh.t.TempDir(), "output"))
	if err != nil {
		sh.t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.CommandContext(sh.t.Context(), "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir, cmd.Stdout, cmd.Stderr = sh.dir, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "PATH="+sh.dir+":"+os.Getenv("PATH"), "XDG_DATA_HOME="+sh.dir, "XDG_CONFIG_HOME="+sh.dir)
	if err = cmd.Start(); err == nil {
		err = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	said, readErr := os.ReadFile(output.Name())
	if err != nil || readErr != nil {
		sh.t.Fatalf("%v %v\n%s\n%s", err, readErr, text, said)
	}
	return string(said)
}

// write gives the shell a file.
func (sh *shell) write(name, text string) {
	sh.t.Helper()
	write(sh.t, filepath.Join(sh.dir, name), text)
}

// simulator builds the simulator, once for a shell.
func (sh *shell) simulator() string {
	sh.t.Helper()
	program := filepath.Join(sh.dir, "simulator")
	if out, err := exec.CommandContext(sh.t.Context(), "go", "build", "-o", program, "../cmd/simulator").CombinedOutput(); err != nil {
		sh.t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// notRun is the mark above a block that no test can run, with the reason.
var notRun = regexp.MustCompile("(?m)^[ \t]*<!-- not run: \\S.* -->\n([ \t]*```)")

// excused are the lines of a page where a block begins that has the mark.
func excused(text string) map[int]bool {
	lines := make(map[int]bool)
	for _, at := range notRun.FindAllStringSubmatchIndex(text, -1) {
		lines[1+strings.Count(text[:at[2]], "\n")] = true
	}
	return lines
}

// languages are those that blocks may have: what is run, and what is not to be here;
// that of html is opened by the browser tests.
var languages = map[string]bool{
	"caddyfile": true, "json": true, "sh": true, "go": true,
	"": false, "html": false, "js": false, "kotlin": false, "python": false, "ruby": false, "swift": false, "text": false, "ts": false, "tsx": false, "yaml": false,
}

// TestDocsBlocksAreRun protects whoever pastes from the pages: each block of a
// shell works, where it is said to, or says why no test can run it.
func TestDocsBlocksAreRun(t *testing.T) {
	for page, text := range documents(t) {
		unfinished := regexp.MustCompile("(?m)^[ \t]*```").FindAllString(text, -1)
		all := fences.FindAllStringSubmatch(text, -1)
		if len(unfinished) != 2*len(all) {
			t.Errorf("%s: a block does not end", page)
		}
		for _, match := range all {
			if _, ok := languages[match[2]]; !ok {
				t.Errorf("%s has a block of %s: is it run?", page, match[2])
			}
		}
		for _, b := range fenced(page, text, "sh") {
			if excused(text)[b.line] {
				continue
			}
			runs := shellRuns(page, b.text)
			if len(runs) != 1 {
				t.Errorf("%s: %d tests run it:\n%s", b, len(runs), b.text)
				continue
			}
			t.Run(b.String(), func(t *testing.T) { runs[0].run(newShell(t), b.text) })
		}
	}
	for _, r := range shellBlocks {
		contains(t, page(t, r.path()), r.line)
	}
}

// shellRuns are the tests of a block.
func shellRuns(page, text string) (all []shellBlock) {
	for _, r := range shellBlocks {
		if page == r.path() && strings.Contains(text, r.line) {
			all = append(all, r)
		}
	}
	return all
}

// shellBlock is how the block of a page with that line is run.
type shellBlock struct {
	page, line string
	run        func(sh *shell, text string)
}

// path is the page's: README.md is that of the repository.
func (r shellBlock) path() string {
	if r.page == "README.md" {
		return r.page
	}
	return "caddymodule/docs/" + r.page
}

// curling has curl fail where a server refuses, and ask an admin socket.
func curling(text, socket string) string {
	text = strings.ReplaceAll(text, "curl ", "curl -fsS ")
	return strings.NewReplacer("localhost:2019", "--unix-socket "+socket+" http://localhost", "/run/caddy/admin.sock", socket).Replace(text)
}

// checked wants the output of check to have the steps of the page, in its order.
func checked(t *testing.T, said, page string) {
	t.Helper()
	step := regexp.MustCompile(`(?m)^ *([✓✗–]) (\S+(?: \S+)*)  +`)
	var want, got []string
	for _, match := range step.FindAllStringSubmatch(page, -1) {
		want = append(want, match[1]+match[2])
	}
	for _, match := range step.FindAllStringSubmatch(said, -1) {
		got = append(got, match[1]+match[2])
	}
	if len(want) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("check says\n%q\nand the page\n%q", got, want)
	}
}
