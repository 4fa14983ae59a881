// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "testing"

// TestSplitSourcePath protects people of one source from a request for another: a
// path that is written in any other way names no source that there can be.
func TestSplitSourcePath(t *testing.T) {
	for path, want := range map[string][2]string{
		"/": {"/", ""}, "/lab": {"/", "lab"}, "/status": {"/status", ""}, "/status/lab": {"/status", "lab"},
		"/start/lab": {"/start", "lab"}, "/return/lab": {"/return", "lab"}, "/logo/lab": {"/logo", "lab"}, "/start": {"/start", ""},
		"/connect.js": {"/connect.js", ""}, "/style.css": {"/style.css", ""},
		"/start/": {"/start/", ""}, "/lab/": {"/lab/", ""}, "//": {"//", ""}, "//lab": {"//lab", ""}, "": {"", ""},
		"/start/lab/": {"/start", "lab/"}, "/start/lab/more": {"/start", "lab/more"}, "/start//lab": {"/start", "/lab"}, "/Lab": {"/", "Lab"},
	} {
		if endpoint, source := splitSourcePath(path); [2]string{endpoint, source} != want {
			t.Errorf("%s: %q of source %q; want %q", path, endpoint, source, want)
		}
	}
	for _, word := range endpointWords {
		if endpoint, source := splitSourcePath("/" + word); endpoint != "/"+word || source != "" {
			t.Errorf("/%s is read as the source %q", word, source)
		}
	}
}
