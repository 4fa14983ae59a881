// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// profiled is how many functions the profile lists.
const profiled = 40

// profile tells where the time of the warm path goes.
func (b *bench) profile(ctx context.Context) error {
	cpu, program := filepath.Join(b.dir, "warm.cpu"), filepath.Join(b.dir, "warm.test")
	args := []string{"test", "-run", "^$", "-bench", "WarmPath/delegate", "-benchtime", "3s", "-cpuprofile", cpu, "-o", program, "./caddymodule"}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, unusual(out))
	}
	top := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount", fmt.Sprint(profiled), "-hide", `^testing\.|^main\.|runtime\.(main|goexit|systemstack|mcall)`, program, cpu)
	out, err := top.Output()
	if err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}
	// What precedes the table names files of this machine.
	if _, table, ok := strings.Cut(string(out), "      flat"); ok {
		b.report.profile = "      flat" + strings.ReplaceAll(table, "github.com/caddy-delegate/caddy-delegate/", "")
	}
	return nil
}
