// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// fact is a line about where the figures come from.
type fact struct{ name, value string }

// machine describes what the figures were measured on.
func machine(ctx context.Context) []fact {
	return []fact{
		{"CPU", field("/proc/cpuinfo", "model name") + ", " + strconv.Itoa(runtime.NumCPU()) + " cores"},
		{"Memory", memory()},
		{"Kernel", strings.TrimSpace(text("/proc/sys/kernel/ostype") + " " + text("/proc/sys/kernel/osrelease"))},
		{"Go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"Caddy", caddyVersion()},
		{"Commit", commit(ctx)},
		{"Date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
	}
}

func text(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// field returns the first value of a name in a file of lines name : value.
func field(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for in := bufio.NewScanner(bytes.NewReader(b)); in.Scan(); {
		if key, value, ok := strings.Cut(in.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory() string {
	kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(kb)/(1<<20))
}

func caddyVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/caddyserver/caddy/v2" {
				return dep.Version
			}
		}
	}
	return "unknown"
}

func commit(ctx context.Context) string {
	id, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	change, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", "*.go", "go.mod", "go.sum").Output()
	if err != nil || len(bytes.TrimSpace(change)) > 0 {
		return strings.TrimSpace(string(id)) + " with changes that are not committed"
	}
	return strings.TrimSpace(string(id))
}

// openFiles is how many files one process of a stampede may have open: the
// connections to the platform of ten thousand requests, and some.
const openFiles = 12_000

func checkOpenFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	if limit.Max < openFiles {
		return fmt.Errorf("a process may open %d files here, the stampedes need %d: raise the limit with ulimit -n %d", limit.Max, openFiles, openFiles)
	}
	return nil // Go raises the soft limit to the hard one by itself
}

// cpu is the CPU time that a process has used so far.
func cpu(pid int) (time.Duration, error) {
	// The CPU clock of a process, as clock_getcpuclockid(3) makes its number;
	// the figures in /proc are no finer than 10 ms.
	const scheduler = 2
	var t syscall.Timespec
	clock := uintptr(^pid<<3 | scheduler)
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); e != 0 {
		return 0, fmt.Errorf("reading the CPU clock of a process: %w", e)
	}
	return time.Duration(t.Nano()), nil
}

// tick is the unit of /proc/stat: USER_HZ, which Linux fixes at 100 wherever
// Go runs.
const tick = 10 * time.Millisecond

// memory is how much of the machine's a server's processes have, in MiB.
func (s *server) memory() (sum float64, err error) {
	for _, p := range s.processes {
		text := field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmRSS")
		kib, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
		if err != nil {
			return 0, fmt.Errorf("reading how much memory %s has: %w", p.name, err)
		}
		sum += kib / 1024
	}
	return sum, nil
}

// busy is the CPU time that the whole machine has used so far, and what the
// host took away from it.
func busy() (time.Duration, error) {
	line, _, _ := strings.Cut(text("/proc/stat"), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// otherLoad measures how much of the machine others use, while this run
// measures something.
type otherLoad struct {
	begun time.Time
	busy  time.Duration
	own   time.Duration
}

func (b *bench) own() time.Duration {
	sum, _ := cpu(os.Getpid())
	for _, p := range b.processes {
		used, _ := cpu(p.cmd.Process.Pid)
		sum += used
	}
	return sum
}

func (b *bench) watchOtherLoad() otherLoad {
	all, _ := busy()
	return otherLoad{time.Now(), all, b.own()}
}

// share is what others have used since, of all CPUs.
func (s otherLoad) share(b *bench) float64 {
	all, _ := busy()
	elapsed := time.Since(s.begun) * time.Duration(runtime.NumCPU())
	return max(0, float64(all-s.busy-(b.own()-s.own))/float64(elapsed))
}
