// SPDX-License-Identifier: Apache-2.0

//go:build race

package grants

// withRace reports that the race detector is on.
const withRace = true
