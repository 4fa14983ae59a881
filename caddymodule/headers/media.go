// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"strings"
)

// mediaTypes are the types of sound and video that are one file each, and no list of
// others.
var mediaTypes = map[string]struct{}{
	"audio/aac": {}, "audio/flac": {}, "audio/mp4": {}, "audio/mpeg": {}, "audio/ogg": {}, "audio/opus": {}, "audio/wav": {}, "audio/wave": {},
	"audio/webm": {}, "audio/x-m4a": {}, "audio/x-wav": {}, "video/mp4": {}, "video/ogg": {}, "video/quicktime": {}, "video/webm": {}, "video/x-m4v": {},
}

// IsMedia tells whether an answer is sound or video, and nothing else.
func IsMedia(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || strings.Contains(types[0], ",") {
		return false
	}
	essence, _, _ := strings.Cut(types[0], ";")
	_, ok := mediaTypes[strings.ToLower(essence)]
	return ok
}

// AllowPlayback relaxes what [SetRules] has set for an answer that is [Media]. A
// browser shows that in a page of its own making, which loads it once more, with
// the user's session: in another origin's name it could not.
//
// It may load that one address, by which the browser asked, and no other.
// Browsers tell a playlist (RFC 8216) by its content, whatever it is called, and
// would ask for all that stands in it, with the user's session.
func AllowPlayback(h http.Header, host, path string) {
	// What Content Security Policy cannot name is not played. With a slash at its
	// end it would be everything below (section 6.7.2.12).
	if host == "" || strings.ContainsFunc(host, notHostChar) || !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		return
	}
	address := host + strings.NewReplacer(";", "%3B", ",", "%2C").Replace(path)
	h["Content-Security-Policy"] = []string{"sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; media-src " + address + "; frame-ancestors 'self'"}
}

func notHostChar(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':'
}
