// SPDX-License-Identifier: Apache-2.0

package caddymodule

// PoolSize is how many states outlive the configurations that used them.
func PoolSize() int { return poolSize() }
