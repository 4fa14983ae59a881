// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"testing"
)

// Only what is sound or video to every browser has the origin that it needs to be
// played, and nothing else: no document, no list of other addresses.
func TestA7_OnlyMediaHaveAnOrigin(t *testing.T) {
	for kind, played := range map[string]bool{
		"video/mp4": true, "audio/wav": true, "Video/webm; codecs=vp9": true, "audio/mpeg;x=y": true,
		"": false, "text/html": false, "image/svg+xml": false, "application/pdf": false, "video": false, "audio/mpeg, text/html": false, " video/mp4": false, "text/video/": false, "video/mp4 text/html": false,
		"audio/mpegurl": false, "audio/x-mpegurl": false, "application/vnd.apple.mpegurl": false, "application/x-mpegURL": false, "video/vnd.mpegurl": false, "audio/x-scpls": false, "application/dash+xml": false, "video/vnd.mpeg.dash.mpd": false,
		"video/x-ms-asf": false, "audio/x-pn-realaudio": false, "video/x+xml": false, "audio/svg+xml": false, "video/x-mixed-replace": false, "video/html": false, "video/*": false, "video/": false,
	} {
		if got := IsMedia(http.Header{"Content-Type": {kind}}); got != played {
			t.Errorf("%q: %v", kind, got)
		}
	}
	if IsMedia(http.Header{"Content-Type": {"video/mp4", "text/html"}}) || IsMedia(nil) {
		t.Error("of two types")
	}
}

// What is played loads itself and nothing else, whatever a client asked by.
func TestA7_MediaLoadThemselvesAlone(t *testing.T) {
	const before, after = "sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; media-src ", "; frame-ancestors 'self'"
	for address, want := range map[[2]string]string{
		{"app.example.org", "/mdh/x"}:            "app.example.org/mdh/x",
		{"127.0.0.1:8443", "/mdh/a%20b.mp4"}:     "127.0.0.1:8443/mdh/a%20b.mp4",
		{"app.example.org", "/a;script-src *,b"}: "app.example.org/a%3Bscript-src *%2Cb",
		{"app.example.org", "/mdh/"}:             "",
		{"app.example.org", "/"}:                 "",
		{"app.example.org", ""}:                  "",
		{"app.example.org", "x"}:                 "",
		{"", "/x"}:                               "",
		{"*", "/x"}:                              "",
		{"*.example.org", "/x"}:                  "",
		{"app.example.org:*", "/x"}:              "",
		{"[::1]:8443", "/x"}:                     "",
		{"a; script-src b", "/x"}:                "",
		{"a,b", "/x"}:                            "",
		{"\u00e9.example", "/x"}:                 "",
	} {
		h := http.Header{}
		SetPlatformHeaders(h, false, false)
		AllowPlayback(h, address[0], address[1])
		if want = before + want + after; len(want) == len(before)+len(after) {
			want = platformPolicy
		}
		if got := h.Get("Content-Security-Policy"); got != want {
			t.Errorf("%q: %s", address, got)
		}
	}
}
