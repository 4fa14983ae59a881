// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// framed wants the platform to have received one request with a body, all of it.
func framed(t *testing.T, s *stack.Stack, got answer, body string) {
	t.Helper()
	got.want(t, http.StatusOK, "")
	var echoed struct{ BodySHA256 string }
	if err := json.Unmarshal([]byte(got.body), &echoed); err != nil && got.body != "" {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if r := received(t, s); r.BodySize != int64(len(body)) || got.body != "" && echoed.BodySHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the platform received %d bytes of %d: %s", r.BodySize, len(body), got.body)
	}
}

// TestAd_OneReadingOfABody protects the connection to the platform from a
// request of which one server says that there is a body and the other that
// there is none: what a client sends arrives whole, whatever the method, and
// what has no body says so.
func TestAd_OneReadingOfABody(t *testing.T) {
	const small = "body"
	large := strings.Repeat("0123456789abcdef", 8<<10) // 128 KiB
	over(t, proxied("allow DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT /api/v1/delegated/**", ""), func(t *testing.T, s *stack.Stack, u *user) {
		var framing []string
		s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
			framing = append(r.TransferEncoding, fmt.Sprint(r.ContentLength))
			platform.ServeHTTP(w, r)
		})
		for _, method := range []string{"GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"} {
			for _, body := range []string{"", small, large} {
				for what, reader := range map[string]io.Reader{"known": strings.NewReader(body), "unknown": io.MultiReader(strings.NewReader(body))} {
					t.Run(fmt.Sprintf("%s %d %s", method, len(body), what), func(t *testing.T) {
						framed(t, s, u.do(u.request(method, echoPath, reader)), body)
						if body == "" && (method == "GET" || method == "HEAD" || method == "DELETE") && strings.Join(framing, " ") != "0" {
							t.Errorf("a request without a body arrived with %v", framing)
						}
					})
				}
			}
		}
		req := u.request(http.MethodPost, echoPath, strings.NewReader(small))
		req.Header.Set("Expect", "100-continue")
		framed(t, s, u.do(req), small)
	})
}

// TestAd_ChunksAndVersions protects the same byte by byte: chunks on a GET, and
// on a request of HTTP/1.0, which knows none (RFC 9112 section 6.1).
func TestAd_ChunksAndVersions(t *testing.T) {
	s := start(t, proxied("allow DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT /api/v1/delegated/**", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	var framing []string
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		framing = append(r.TransferEncoding, fmt.Sprint(r.ContentLength))
		platform.ServeHTTP(w, r)
	})
	head := func(method, version string) string {
		return fmt.Sprintf("%s %s HTTP/%s\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\n", method, echoPath, version, s.Port, u.session)
	}
	const chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, method := range []string{"GET", "DELETE", "POST"} {
		framed(t, s, rawRequest(t, s, head(method, "1.1")+chunks, false), "hello")
		framed(t, s, rawRequest(t, s, head(method, "1.1")+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false), "")
		if method != "POST" && strings.Join(framing, " ") != "0" {
			t.Errorf("%s with chunks and no body arrived with %v", method, framing)
		}
		framed(t, s, rawRequest(t, s, head(method, "1.1")+"Content-Length: 0\r\n\r\n", false), "")
		framed(t, s, rawRequest(t, s, head(method, "1.1")+"\r\n", false), "")
		framed(t, s, rawRequest(t, s, head(method, "1.0")+"Content-Length: 5\r\n\r\nhello", false), "hello")
	}
	// An announced trailer needs chunks; nothing of the body is lost for it.
	framed(t, s, rawRequest(t, s, head("GET", "1.1")+"Trailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n", false), "hello")

	before := len(s.Platform.Records())
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		rawRequest(t, s, head(method, "1.0")+chunks, false).want(t, http.StatusBadRequest, "body_incomplete")
		rawRequest(t, s, head(method, "1.0")+"\r\n", false).want(t, http.StatusBadRequest, "body_incomplete")
	}
	if after := len(s.Platform.Records()); after != before {
		t.Errorf("%d requests of an unknown length reached the platform", after-before)
	}
	framed(t, s, rawRequest(t, s, head("GET", "1.0")+"\r\n", false), "")
}

// TestAd_NothingIsWaitedFor protects uploads that begin before their end is
// there: what is of unknown length goes on as it comes.
func TestAd_NothingIsWaitedFor(t *testing.T) {
	s := start(t, proxied("", ""))
	u := signIn(t, s, "alice")
	u.get(echoPath).want(t, http.StatusOK, "")
	arrived := make(chan string, 1)
	s.Intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		first := make([]byte, 3)
		_, _ = io.ReadFull(r.Body, first)
		arrived <- string(first)
	})
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", echoPath, s.Port, u.session)
	select {
	case got := <-arrived:
		if got != "abc" {
			t.Errorf("%q", got)
		}
	case <-time.After(15 * time.Second):
		t.Error("the beginning does not arrive before the end")
	}
}

// TestBodyThatEndsEarly protects everybody from one client that announces more
// than it sends: that is the client's fault in each version of HTTP, and no
// strike against the platform.
func TestBodyThatEndsEarly(t *testing.T) {
	over(t, proxied("max_fails 1\nfail_duration 1h", ""), func(t *testing.T, s *stack.Stack, u *user) {
		bob := signIn(t, s, "bob")
		bob.base, bob.client.Transport = u.base, u.client.Transport
		for _, size := range []int{100, 100_000} {
			req := u.request(http.MethodPost, echoPath, io.LimitReader(strings.NewReader(strings.Repeat("x", size)), int64(size*7/10)))
			req.ContentLength = int64(size)
			// Clients may notice by themselves, before there is an answer.
			if res, err := u.client.Do(req); err == nil {
				_ = res.Body.Close()
				if res.StatusCode != http.StatusBadRequest {
					t.Errorf("%d bytes: status %d", size, res.StatusCode)
				}
			}
			bob.get(echoPath).want(t, http.StatusOK, "")
		}
	})
}

// TestUploadThatIsGivenUp protects everybody from one client whose upload takes
// so long that the platform ends it: that is no strike against the platform.
func TestUploadThatIsGivenUp(t *testing.T) {
	s := start(t, proxied("max_fails 1\nfail_duration 1h", ""))
	alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
	body, rest := io.Pipe()
	defer rest.Close()
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if r.ContentLength < 1<<40 {
			platform.ServeHTTP(w, r)
			return
		}
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	bob.get(echoPath).want(t, http.StatusOK, "")
	go func() {
		for { // until the pipe is closed
			if _, err := rest.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}()
	req := alice.request(http.MethodPost, echoPath, body)
	req.ContentLength = 1 << 40
	alice.do(req).want(t, http.StatusBadGateway, "upstream_unavailable")
	bob.get(echoPath).want(t, http.StatusOK, "")
}
