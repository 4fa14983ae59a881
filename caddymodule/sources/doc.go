// SPDX-License-Identifier: Apache-2.0

// Package sources has people connect data sources, such as a wearable's vendor or
// a hospital's records, and calls them as those people. A source is data and not
// code: its [Config] says by which steps of OAuth 2.0 (RFC 6749, RFC 7636) or OAuth
// 1.0a (RFC 5849) people consent, and where its vendor departs from them.
package sources
