// SPDX-License-Identifier: Apache-2.0

// Package headers is the header contract between a client and a platform: an
// allow-list for headers and trailers, in both directions.
//
// A request is filtered by [RequestFilter.Filter], and once more as it goes on
// the wire by [Enforce], because the reverse proxy between the two adds headers
// of its own. A response is filtered by [ResponseFilter.Clean] and given the
// headers of [SetPlatformHeaders], so that the platform cannot act in the name
// of the app's origin.
package headers
