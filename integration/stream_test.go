// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const customPath = "/mdh/api/v1/delegated/custom/Simulator."

// TestLargeDownload protects downloads of 100 MB: they pass unbuffered and
// unchanged.
func TestLargeDownload(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		const size = 100 << 20
		res, err := u.client.Do(u.request(http.MethodGet, fmt.Sprintf("%sDownload?bytes=%d", customPath, size), nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || n != size || res.StatusCode != http.StatusOK {
			t.Errorf("status %d, %d bytes of %d, %v", res.StatusCode, n, size, err)
		}
	})
}

// TestServerSentEvents protects live updates: each event arrives when it is
// sent, not when the stream ends.
func TestServerSentEvents(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		res, err := u.client.Do(u.request(http.MethodGet, customPath+"Events?n=3", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			// The next event is only sent after this release: a proxy that
			// buffers would wait for ever.
			s.Platform.Release()
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "data:") {
			}
			if !strings.HasPrefix(lines.Text(), "data:") {
				t.Fatalf("event %d did not arrive: %v", i, lines.Err())
			}
		}
	})
}

// TestHead protects HEAD: the answer's headers without a body.
func TestHead(t *testing.T) {
	over(t, proxied("", ""), func(t *testing.T, s *stack.Stack, u *user) {
		got := u.do(u.request(http.MethodHead, participantPath, nil))
		got.want(t, http.StatusOK, "")
		if got.body != "" || received(t, s).Method != http.MethodHead {
			t.Errorf("method %s, body %q", received(t, s).Method, got.body)
		}
	})
}

// TestWebSocket protects upgrades that an allow line and a page of our own ask
// for: they have the credential, and frames pass in both directions. What is
// refused is TestT52_OtherSitesWebSockets'.
func TestWebSocket(t *testing.T) {
	s := start(t, proxied("allow WEBSOCKET /api/v1/delegated/custom/*", ""))
	u := signIn(t, s, "alice")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %sWebSocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: session=%s\r\nOrigin: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", customPath, s.Port, u.session, s.URL())
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want %d", res.StatusCode, http.StatusSwitchingProtocols)
	}
	if got := res.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("Sec-WebSocket-Accept %q", got)
	}
	// A masked text frame (RFC 6455 section 5.7), echoed unmasked.
	if _, err := conn.Write([]byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 7)
	if _, err := io.ReadFull(in, frame); err != nil || string(frame[2:]) != "Hello" {
		t.Errorf("echo %q, %v", frame, err)
	}
	if r := received(t, s); r.ParticipantID != stack.Alice.ID {
		t.Errorf("token of %q", r.ParticipantID)
	}
}
