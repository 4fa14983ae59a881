// SPDX-License-Identifier: Apache-2.0

// Package oauth1 signs requests as OAuth 1.0a asks (RFC 5849). It is our own because
// the proxied requests are other people's: a parameter that stands twice, a form
// with a charset, or a default port of the other scheme must be signed as the RFC
// says and not refused by the vendor as if the person's consent had ended.
package oauth1
