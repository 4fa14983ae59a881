// SPDX-License-Identifier: Apache-2.0

package release

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// systemCalls are the numbers of those that a unit's SystemCallFilter allows. The
// groups are systemd's on this machine.
func systemCalls(t *testing.T, u unit) (allowed []uint32) {
	t.Helper()
	names := make(map[string]bool)
	var set func(word string, to bool)
	set = func(word string, to bool) {
		if !strings.HasPrefix(word, "@") {
			names[word] = to
			return
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "--no-pager", "syscall-filter", word).Output()
		if err != nil {
			t.Fatalf("the system calls of %s: %v", word, err)
		}
		for _, line := range strings.Split(string(out), "\n")[1:] {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				set(line, to)
			}
		}
	}
	set("@default", true) // as systemd does whatever is set
	for _, value := range u["SystemCallFilter"] {
		list, deny := strings.CutPrefix(value, "~")
		for word := range strings.FieldsSeq(list) {
			set(word, !deny)
		}
	}
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	numbers := read(t, filepath.Join(strings.TrimSpace(string(folder)), "zsysnum_linux_"+runtime.GOARCH+".go"))
	for _, match := range regexp.MustCompile(`SYS_(\w+)\s+= (\d+)`).FindAllStringSubmatch(numbers, -1) {
		if number, err := strconv.ParseUint(match[2], 10, 32); err == nil && names[strings.ToLower(match[1])] {
			allowed = append(allowed, uint32(number))
		}
	}
	if len(allowed) < 200 {
		t.Fatalf("the unit allows %d system calls", len(allowed))
	}
	return allowed
}

// filter is the program by which the kernel answers EPERM to system calls that are not
// allowed, to sockets other than RestrictAddressFamilies=, and to memory that
// MemoryDenyWriteExecute= denies, as systemd's does.
func filter(allowed []uint32) []bpf.Instruction {
	pass, deny := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}, bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(syscall.EPERM)}
	number, argument := bpf.LoadAbsolute{Off: 0, Size: 4}, func(i uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: 16 + 8*i, Size: 4} }
	on := func(call uint32, then ...bpf.Instruction) []bpf.Instruction {
		return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: uint8(len(then))}}, then...)
	}
	program := []bpf.Instruction{number}
	program = append(program, on(unix.SYS_SOCKET, argument(0),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_NETLINK, SkipTrue: 1},
		deny, pass)...)
	program = append(program, on(unix.SYS_MPROTECT, argument(2), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_EXEC, SkipFalse: 1}, deny, pass)...)
	program = append(program, on(unix.SYS_MMAP, argument(2), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: unix.PROT_EXEC | unix.PROT_WRITE},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PROT_EXEC | unix.PROT_WRITE, SkipFalse: 1}, deny, pass)...)
	for _, call := range allowed {
		program = append(program, on(call, pass)...)
	}
	return append(program, deny)
}

// TestFilteredProcess is no test: this program puts a filter into force, of the
// numbers in FILTERED, and becomes the command behind "--".
func TestFilteredProcess(t *testing.T) {
	list := os.Getenv("FILTERED")
	if list == "" {
		t.Skip("it is run by other tests")
	}
	var allowed []uint32
	for word := range strings.SplitSeq(list, ",") {
		number, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		allowed = append(allowed, uint32(number))
	}
	command := os.Args[1:]
	for i, arg := range command {
		if arg == "--" {
			command = command[i+1:]
			break
		}
	}
	raw, err := bpf.Assemble(filter(allowed))
	if err != nil {
		t.Fatal(err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	os.Unsetenv("FILTERED")
	// Control: a family of sockets that everybody may use is denied by the filter alone.
	if err := cryptoSocket(); errors.Is(err, unix.EPERM) {
		t.Fatalf("before the filter: %v", err)
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(program))); e != 0 {
		t.Fatal(e)
	}
	if err := cryptoSocket(); !errors.Is(err, unix.EPERM) {
		t.Fatalf("behind the filter: %v", err)
	}
	t.Fatal(syscall.Exec(command[0], command, os.Environ()))
}

func cryptoSocket() error {
	fd, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}
