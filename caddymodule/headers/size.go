// SPDX-License-Identifier: Apache-2.0

package headers

import "net/http"

// MaxSize is what a client's request target and headers may take together, in
// bytes, counted as in RFC 9113 section 6.5.2. More than an HTTP/2 upstream's
// limit would fail on the wire and count against the upstream, for everybody;
// common limits are 8 KiB and above.
const MaxSize = 6 << 10

// TooLarge reports whether a request target and the headers that cross with it
// exceed [MaxSize].
func TooLarge(target string, h http.Header) bool {
	size := len(target)
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(value) + 32
		}
	}
	return size > MaxSize
}
