// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"strings"
)

// mediaTypes are the media types of sound and video files. Playlists, which name
// other files, are not among them.
var mediaTypes = map[string]struct{}{
	"audio/aac": {}, "audio/flac": {}, "audio/mp4": {}, "audio/mpeg": {}, "audio/ogg": {}, "audio/opus": {}, "audio/wav": {}, "audio/wave": {},
	"audio/webm": {}, "audio/x-m4a": {}, "audio/x-wav": {}, "video/mp4": {}, "video/ogg": {}, "video/quicktime": {}, "video/webm": {}, "video/x-m4v": {},
}

// IsMedia reports whether the response with these headers is a sound or video
// file: it has one Content-Type, which is one of a fixed list.
func IsMedia(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || strings.Contains(types[0], ",") {
		return false
	}
	essence, _, _ := strings.Cut(types[0], ";")
	_, ok := mediaTypes[strings.ToLower(essence)]
	return ok
}

// AllowPlayback relaxes the policy that [SetPlatformHeaders] has set, for a
// response that [IsMedia], requested at host and path. A browser opens a media
// file in a page of its own making, which loads the file once more with the
// user's session; with an opaque origin it could not.
//
// The page may load that one address. Browsers tell a playlist (RFC 8216) by
// its content and not by its type, and would request every address in it with
// the user's session.
func AllowPlayback(h http.Header, host, path string) {
	// An address that Content Security Policy cannot name is not played. One that
	// ends in a slash would name everything below it (CSP3 section 6.7.2.12).
	if host == "" || strings.ContainsFunc(host, notHostChar) || !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		return
	}
	address := host + strings.NewReplacer(";", "%3B", ",", "%2C").Replace(path)
	h["Content-Security-Policy"] = []string{"sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; media-src " + address + "; frame-ancestors 'self'"}
}

// notHostChar reports whether c cannot stand in a host of a policy.
func notHostChar(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':'
}
