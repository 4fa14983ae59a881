// SPDX-License-Identifier: Apache-2.0

//go:build !race

package integration

const slowdown = 1
