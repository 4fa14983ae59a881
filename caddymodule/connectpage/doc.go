// SPDX-License-Identifier: Apache-2.0

// Package connectpage renders the page on which people connect their data sources,
// and serves its style sheet and scripts. It knows neither Caddy nor grants: its
// pages are structs in, HTML out.
//
// All of it works without script, by links and forms; script closes the popup and
// tells the app's page. Every text that is not its own is escaped and isolated, by
// direction as well, and what escapes all the same meets a policy that runs nothing
// (T68).
package connectpage
