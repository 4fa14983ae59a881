// SPDX-License-Identifier: Apache-2.0

package caddymodule

// Pooled is how many states outlive the configurations that used them.
func Pooled() int { return references() }
