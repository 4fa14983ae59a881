// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"strings"
	"testing"
)

// TestLogoType protects people from a logo that is a page: only images that do nothing
// but draw are taken, by their content.
func TestLogoType(t *testing.T) {
	const head = `<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">`
	svg := func(inner string) string {
		return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">` + inner + `</svg>`
	}
	for image, want := range map[string]string{
		svg(`<path d="M0 0"/>`):                         "image/svg+xml",
		head + svg(`<use xlink:href="#a"/>`):            "image/svg+xml",
		svg(`<image href="data:image/png;base64,AA"/>`): "image/svg+xml",
		"\x89PNG\r\n\x1a\nrest":                         "image/png",
		"\xff\xd8\xffrest":                              "image/jpeg",
		"RIFF\x00\x00\x00\x00WEBPVP8 ":                  "image/webp",
		"":                                              "error: no SVG",
		"GIF89a":                                        "error: no SVG",
		"<!DOCTYPE html><html><body>hi":                 "error: no SVG",
		`<html><svg></svg></html>`:                      "error: no SVG",
		svg(`<path>`):                                   "error: no SVG",
		svg("") + "<script>alert(1)</script>":           "error: element script",
		svg(`<script>alert(1)</script>`):                "error: element script",
		svg(`<SCRIPT/>`):                                "error: element script",
		svg(`<x:script xmlns:x="http://www.w3.org/2000/svg"/>`): "error: element script",
		svg(`<foreignObject><p/></foreignObject>`):              "error: element foreignobject",
		svg(`<path onload="x()"/>`):                             "error: attribute onload",
		svg(`<a href="javascript:x()"/>`):                       "error: script in its attribute href",
		svg(`<a xlink:href=" JavaScript:x()"/>`):                "error: script in its attribute href",
		svg(`<set attributeName="href" to="javascript:x()"/>`):  "error: script in its attribute to",
		svg(`<image href="https://evil.example/pixel"/>`):       "error: address elsewhere",
		svg(`<a href="data:text/html,x"/>`):                     "error: address elsewhere",
		`<!DOCTYPE svg [<!ENTITY x "y">]>` + svg(""):            "error: entities",
		`<?xml-stylesheet href="x.css"?>` + svg(""):             "error: processing instruction",
		svg(strings.Repeat(" ", MaxLogo)):                       "error: more than 64 KiB",
	} {
		got, err := LogoType([]byte(image))
		if err != nil {
			got = "error: " + err.Error()
		}
		if len(image) > 60 {
			image = image[:60]
		}
		if wrong, ok := strings.CutPrefix(want, "error: "); ok && (err == nil || !strings.Contains(err.Error(), wrong)) || !ok && got != want {
			t.Errorf("%q: %s, want %s", image, got, want)
		}
	}
}
