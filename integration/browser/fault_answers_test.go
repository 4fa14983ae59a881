// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// acting is what a page of the platform tries: by script, by itself, and by what
// it loads. Each way asks the app for /probe/….
const acting = `<script>document.title = "acted"; fetch("/probe/fetch", { method: "POST" }); new Image().src = "/probe/script";</script>
<img src="/probe/img"><link rel="stylesheet" href="/probe/style"><meta http-equiv="refresh" content="0;url=/probe/refresh">
<iframe src="/probe/frame"></iframe><object data="/probe/object"></object><form id="f" action="/probe/form" method="post"></form><script>document.forms[0].submit()</script>`

// files are what the platform answers, by the last part but /logo of the path.
func files(t *testing.T) map[string]func(w http.ResponseWriter, r *http.Request) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 7, 5))); err != nil {
		t.Fatal(err)
	}
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5">%s<rect width="7" height="5" style="fill:red"/></svg>`
	script := `<script>fetch("/probe/svg", { method: "POST" })</script><image href="/probe/image"/>`
	file := func(kind string, content []byte, more ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			// Its own policy is none.
			w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-same-origin; default-src *")
			for i := 0; i < len(more); i += 2 {
				w.Header().Set(more[i], more[i+1])
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}
	}
	failing := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<title>error</title>"+acting)
		}
	}
	// To Chromium it is the content that makes a playlist, whatever it is called.
	list := []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"/probe/map\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"/probe/key\"\n#EXTINF:4,\n/probe/segment.ts\n#EXT-X-ENDLIST\n")
	master := []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000,CODECS=\"avc1.64001f,mp4a.40.2\"\n/probe/variant\n")
	return map[string]func(http.ResponseWriter, *http.Request){
		"list-mpegurl":   file("audio/mpegurl", list),
		"list-x-mpegurl": file("audio/x-mpegurl", master),
		"list-apple":     file("application/vnd.apple.mpegurl", list),
		"list-mp4":       file("video/mp4", list),
		"list-mpeg":      file("audio/mpeg", master),
		"list-ogg":       file("video/ogg", master),
		"page":           file("text/html; charset=utf-8", []byte("<title>quiet</title>"+acting)),
		"xhtml":          file("application/xhtml+xml", []byte(`<html xmlns="http://www.w3.org/1999/xhtml"><head><title>quiet</title><script>document.title = "acted"; fetch("/probe/xhtml")</script></head><body/></html>`)),
		"xml":            file("application/xml", []byte(`<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="/probe/xsl"?><a xmlns:h="http://www.w3.org/1999/xhtml"><h:script>fetch("/probe/xml")</h:script></a>`)),
		"drawn":          file("image/svg+xml", []byte(fmt.Sprintf(svg, script))),
		"png":            file("image/png", picture.Bytes()),
		"json":           file("application/json", []byte(`{"a":1}`)),
		"sound":          file("audio/wav", wav()),
		"pdf":            file("application/pdf", []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF")),
		"saved":          file("text/html", []byte("<script>fetch('/probe/saved')</script>"), "Content-Disposition", `attachment; filename="report.html"`),
		"404":            failing(http.StatusNotFound),
		"500":            failing(http.StatusInternalServerError),
	}
}

// wav is a tenth of a second of silence.
func wav() []byte {
	const samples = 800
	var b bytes.Buffer
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, uint32(36+samples))
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, []uint32{16})
	_ = binary.Write(&b, binary.LittleEndian, []uint16{1, 1})
	_ = binary.Write(&b, binary.LittleEndian, []uint32{8000, 8000})
	_ = binary.Write(&b, binary.LittleEndian, []uint16{1, 8})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, uint32(samples))
	b.Write(bytes.Repeat([]byte{128}, samples))
	return b.Bytes()
}

// answers runs answers.test.mjs against a proxy at api.example.localhost, which
// trusts pages of app.example.localhost, whose platform answers with files.
func answers(t *testing.T, pattern string) {
	var mu sync.Mutex
	probes := []string{}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/probes":
			_ = json.NewEncoder(w).Encode(probes)
			probes = probes[:0]
		case strings.HasPrefix(r.URL.Path, "/probe/"):
			probes = append(probes, r.URL.Path)
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<title>the app</title>")
		}
	}))
	t.Cleanup(app.Close)
	s, err := stack.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	trusted := fmt.Sprintf("http://app.example.localhost:%d", s.Port)
	err = s.Load(`{` + stack.Options + `
	delegate {
		trusted_origins ` + trusted + stack.Provider + `
	}
}
http://api.example.localhost:[[.Port]] {
	handle_path /mdh/* {
		@private {
			not method OPTIONS
			not path */logo */public/*
		}
		forward_auth @private [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
	reverse_proxy ` + strings.TrimPrefix(app.URL, "http://") + `
}
`)
	if err != nil {
		t.Fatal(err)
	}
	all := files(t)
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if serve, ok := all[path.Base(strings.TrimSuffix(r.URL.Path, "/logo"))]; ok {
			serve(w, r)
			return
		}
		platform.ServeHTTP(w, r)
	})
	node(t, s, []string{"--test-name-pattern=" + pattern, "answers.test.mjs"},
		fmt.Sprintf("PROXY=http://api.example.localhost:%d", s.Port), "TRUSTED="+trusted,
		fmt.Sprintf("STRANGER=http://stranger.localhost:%d", s.Port), "PROBES="+app.URL+"/probes")
}

// TestA7_PlatformsPagesDoNotAct protects the app's origin from HTML and SVG of
// the platform that are opened as a page: no script runs as the app, nothing is
// asked for in the user's name; and images, media, documents and downloads work.
func TestA7_PlatformsPagesDoNotAct(t *testing.T) { answers(t, "A7") }

// TestA7_PlaylistsAskForNothing protects the app from a playlist of the platform
// (HLS) that is opened by its address: Chromium's player would ask for what
// stands in it, any path of the app, in the user's name.
func TestA7_PlaylistsAskForNothing(t *testing.T) { answers(t, "A7: a playlist") }

// TestR1_TrustedOriginsShowAnswers protects pages of a trusted origin: what they
// show and read of public and other routes works in a real browser, and what
// pages of other origins must not have stays closed to them.
func TestR1_TrustedOriginsShowAnswers(t *testing.T) { answers(t, "R1") }
