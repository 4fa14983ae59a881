// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

const extra = "/api/v1/delegated/custom/Simulator."

// The extras are answers for a signed-in participant like any other.
func TestExtrasNeedAToken(t *testing.T) {
	p := newPlatform(t)
	for _, r := range extraRoutes {
		name := r.pattern[len(r.pattern)-1]
		wantStatus(t, p.call("GET", delegated+"custom/"+name, "", ""), 401)
	}
}

// Echo and the record say what arrived, byte for byte: body, trailers, headers.
func TestEcho(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	req := p.request("PATCH", extra+"Echo?x=%2F", token, "")
	body := strings.Repeat("abc", 100000)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), -1
	req.Trailer = http.Header{"X-Sum": {"42"}}
	req.Header.Set("X-Seen", "yes")
	r := p.do(req)
	wantStatus(t, r, 200)
	sum := sha256.Sum256([]byte(body))
	header, _ := r.json["header"].(map[string]any)
	trailer, _ := r.json["trailer"].(map[string]any)
	if r.json["method"] != "PATCH" || r.json["uri"] != extra+"Echo?x=%2F" || r.json["bodySize"] != 300000.0 ||
		r.json["bodySHA256"] != hex.EncodeToString(sum[:]) || header["X-Seen"] == nil || trailer["X-Sum"] == nil {
		t.Errorf("echo: %s", r.body)
	}
	all := p.Records()
	rec := all[len(all)-1]
	if rec.Method != "PATCH" || rec.URI != extra+"Echo?x=%2F" || rec.BodySize != 300000 || rec.Trailer.Get("X-Sum") != "42" || rec.Status != 200 ||
		rec.TokenKind != "participant" || rec.ParticipantID != alice.ID || rec.Area != "delegated" || rec.Header.Get("X-Seen") != "yes" || rec.Proto != "HTTP/1.1" ||
		"http://"+rec.Host != p.url || rec.Time.IsZero() {
		t.Errorf("record: %+v", rec)
	}
}

// A refused request's body counts too: replay tests compare what came twice.
func TestRefusedBodyIsCounted(t *testing.T) {
	p := newPlatform(t)
	wantStatus(t, p.call("POST", delegated+"devicedata", "x", strings.Repeat("a", 60000)), 401)
	if r := p.Records()[0]; r.BodySize != 60000 {
		t.Errorf("record: %+v", r)
	}
}

// Events must arrive one by one; a proxy that buffers them makes this hang in its tests.
func TestEvents(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	res, err := http.DefaultTransport.RoundTrip(p.request("GET", extra+"Events?n=3", token, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
	for i := range 3 {
		if i > 0 {
			wantStatus(t, p.call("POST", "/_simulator/release", "", ""), 204)
		}
		if data := next(); !strings.Contains(data, alice.ID) || !strings.Contains(data, string(rune('1'+i))) {
			t.Fatalf("event %d: %q", i+1, data)
		}
	}
	if data := next(); data != "" {
		t.Errorf("a fourth event: %q", data)
	}
	if got := strings.Count(p.call("GET", extra+"Events?n=2&interval=1", token, "").body, "data:"); got != 2 {
		t.Errorf("%d events by interval, want 2", got)
	}
}

// A client that leaves must not leave a handler behind.
func TestEventsEndWithTheClient(t *testing.T) {
	p := newPlatform(t)
	res, err := http.DefaultTransport.RoundTrip(p.request("GET", extra+"Events", p.participantToken(alice.ID), ""))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	until(t, "the stream to end", func() bool { return p.Counts().InFlight == 0 })
}

// Offsets are checkable: a proxy that drops or swaps a chunk shows.
func TestDownload(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	r := p.call("GET", extra+"Download?bytes=1000003", token, "")
	if len(r.body) != 1000003 || r.ContentLength != 1000003 {
		t.Fatalf("%d bytes, Content-Length %d", len(r.body), r.ContentLength)
	}
	for i := range len(r.body) {
		if r.body[i] != byte(i%251) {
			t.Fatalf("byte %d is %d, want %d", i, r.body[i], i%251)
		}
	}
	if r := p.call("HEAD", extra+"Download?bytes=1000003", token, ""); r.ContentLength != 1000003 || r.body != "" {
		t.Errorf("HEAD: %d, %d bytes", r.ContentLength, len(r.body))
	}
	wantStatus(t, p.call("GET", extra+"Download?bytes=-1", token, ""), 400)
}

// Early hints carry what a proxy must take out.
func TestHints(t *testing.T) {
	p := newPlatform(t)
	req := p.request("GET", extra+"Hints", p.participantToken(alice.ID), "")
	var early textproto.MIMEHeader
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				early = h
			}
			return nil
		},
	}))
	r := p.do(req)
	if early.Get("Link") == "" || early.Get("Set-Cookie") == "" {
		t.Errorf("103 had %v", early)
	}
	if r.StatusCode != 200 || r.Header.Get("Link") != "" || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("200 is %d with %v", r.StatusCode, r.Header)
	}
}

// The rest of what a proxy must get right.
func TestAnswersForProxies(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	r := p.call("GET", extra+"Trailers", token, "")
	if r.Trailer.Get("X-Simulator-Checksum") != "0123456789abcdef" || r.Trailer.Get("X-Simulator-Participant") != alice.ID {
		t.Errorf("trailers %v", r.Trailer)
	}
	r = p.call("GET", extra+"BadHeaders", token, "")
	for _, name := range []string{
		"Set-Cookie", "Access-Control-Allow-Origin", "WWW-Authenticate", "Clear-Site-Data", "Strict-Transport-Security", "Refresh",
		"NEL", "Report-To", "Alt-Svc", "Server", "Via", "Service-Worker-Allowed",
	} {
		if r.Header.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
	r = p.call("GET", extra+"Redirect?to=https%3A%2F%2Fevil.example%2F", token, "")
	if r.StatusCode != 302 || r.Header.Get("Location") != "https://evil.example/" {
		t.Errorf("redirect: %d %v", r.StatusCode, r.Header)
	}
	wantStatus(t, p.call("GET", extra+"Redirect?code=308&to=/x", token, ""), 308)
	wantStatus(t, p.call("GET", extra+"Redirect?code=200&to=/x", token, ""), 400)
	for _, code := range []string{"200", "204", "304", "401", "418", "503"} {
		if r := p.call("GET", extra+"Status?code="+code, token, ""); !strings.HasPrefix(r.Status, code) {
			t.Errorf("code=%s: %s", code, r.Status)
		}
	}
	wantStatus(t, p.call("GET", extra+"Status?code=101", token, ""), 400)
	r = p.call("POST", delegated+"custom/My.Api?a=b", token, `{"x":1}`)
	if body, _ := r.json["body"].(map[string]any); r.json["name"] != "My.Api" || r.json["method"] != "POST" || body["x"] != 1.0 {
		t.Errorf("custom API: %s", r.body)
	}
}

// Frames of every length form come back, until the client closes.
func TestWebSocket(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	wantStatus(t, p.call("GET", extra+"WebSocket", token, ""), http.StatusUpgradeRequired)

	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	req := p.request("GET", extra+"WebSocket", token, "")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	// The example of RFC 6455 section 1.3.
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: %d %v", res.StatusCode, res.Header)
	}
	for _, size := range []int{0, 5, 125, 126, 65535, 65536} {
		payload := strings.Repeat("x", size)
		if opcode, got := exchange(t, conn, r, 0x1, payload); opcode != 0x1 || got != payload {
			t.Errorf("%d bytes came back as opcode %x with %d bytes", size, opcode, len(got))
		}
	}
	if opcode, got := exchange(t, conn, r, opPing, "hi"); opcode != opPong || got != "hi" {
		t.Errorf("ping: opcode %x %q", opcode, got)
	}
	if opcode, _ := exchange(t, conn, r, opClose, "\x03\xe8"); opcode != opClose {
		t.Errorf("close: opcode %x", opcode)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after close: %v, want EOF", err)
	}
	if !slices.ContainsFunc(p.Records(), func(r Record) bool { return r.Status == 101 }) {
		t.Error("no record says 101")
	}
}

// exchange sends one masked frame and reads one.
func exchange(t *testing.T, conn net.Conn, r *bufio.Reader, opcode byte, payload string) (byte, string) {
	t.Helper()
	frame := make([]byte, 0, 14+len(payload))
	switch n := uint64(len(payload)); {
	case n < 126:
		frame = append(frame, 0x80|opcode, 0x80|byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|opcode, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|opcode, 0x80|127), n)
	}
	mask := []byte{1, 2, 3, 4}
	frame = append(frame, mask...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^mask[i%4])
	}
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	size := int(head[1])
	if more := map[int]int{126: 2, 127: 8}[size]; more > 0 {
		ext := make([]byte, more)
		if _, err := io.ReadFull(r, ext); err != nil {
			t.Fatal(err)
		}
		size = 0
		for _, b := range ext {
			size = size<<8 | int(b)
		}
	}
	got := make([]byte, size)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	return head[0] & 0x0f, string(got)
}
