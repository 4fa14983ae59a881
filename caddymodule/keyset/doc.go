// SPDX-License-Identifier: Apache-2.0

// Package keyset seals values that are kept outside this process, and makes
// pseudonyms of people for the keys of a shared cache, for databases and for logs.
//
// A [Keyset] is one JSON file with two Tink keysets in clear:
//
//	{"seal": <AES256-GCM keys>, "name": <HMAC-SHA256 keys>}
//
// The file opens everything, so it is guarded like a private key. Every machine that shares a cache or a database has the same file.
//
// # Rotation
//
// In both keysets the keys stand from the oldest to the newest, and one is the
// primary: it seals, and its names come first. A key behind the primary is
// staged: it opens, and [Keyset.Names] holds its names, but nothing is sealed
// by it. So the file alone tells which step is next:
//
//	file           what made it   seals  opens
//	1              Generate       1      1
//	1 (2 staged)   Stage          1      1, 2
//	1, 2           Promote        2      1, 2
//	1, 2 (3 staged) Stage         2      1, 2, 3
//	1, 2, 3        Promote        3      1, 2, 3
//	2, 3 (4 staged) Stage         3      2, 3, 4
//
// Machines with any two files that follow each other read all that the other
// writes, and find each other's purges by [Keyset.Names]. Therefore a file has
// to be loaded by every machine before the next one is made. A key is dropped
// four steps after it was the primary last. Values that are kept for longer than
// that have to be sealed anew before.
//
// A key may seal 2³² times before AES-GCM's random nonces become likely to
// repeat: 1000 seals a second take 50 days.
package keyset
