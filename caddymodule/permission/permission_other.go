// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package permission

import "io/fs"

// modeOf returns no permissions: here no mode says who can open a file.
func modeOf(string) (fs.FileMode, error) { return 0, nil }

// foreignOwner returns nothing, for the same reason.
func foreignOwner(string) string { return "" }
