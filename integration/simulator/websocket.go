// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxFrame bounds a WebSocket frame.
const maxFrame = 1 << 20

// webSocket sends back every frame until the client closes (RFC 6455).
func (c *call) webSocket() {
	key := c.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(c.Header.Get("Upgrade"), "websocket") || c.Header.Get("Sec-WebSocket-Version") != "13" || key == "" {
		c.w.Header().Set("Upgrade", "websocket")
		c.fail(http.StatusUpgradeRequired, "this resource speaks WebSocket, version 13")
		return
	}
	conn, buf, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		c.fail(http.StatusInternalServerError, "WebSocket needs HTTP/1.1")
		return
	}
	defer func() { _ = conn.Close() }()
	c.count(func(*Counts) { c.record.Status = http.StatusSwitchingProtocols })

	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
	for buf.Flush() == nil {
		head, payload, err := readFrame(buf.Reader)
		if err != nil {
			return
		}
		closing := head&0x0f == opClose
		if head&0x0f == opPing {
			head = head&0xf0 | opPong
		}
		writeFrame(buf.Writer, head, payload)
		if closing {
			_ = buf.Flush()
			return
		}
	}
}

const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// readFrame reads a client's frame and returns its first byte and its payload, unmasked.
func readFrame(r *bufio.Reader) (head byte, payload []byte, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return 0, nil, err
	}
	head = b[0]
	if b[1]&0x80 == 0 {
		return 0, nil, errors.New("a client's frame is not masked") // RFC 6455 section 5.1
	}
	size := uint64(b[1] & 0x7f)
	switch size {
	case 126:
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return 0, nil, err
		}
		size = uint64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		if _, err := io.ReadFull(r, b[:8]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(b[:8])
	}
	if size > maxFrame {
		return 0, nil, errors.New("the frame is too big")
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head, payload, nil
}

// writeFrame writes a server's frame; errors show at the next Flush.
func writeFrame(w *bufio.Writer, head byte, payload []byte) {
	_ = w.WriteByte(head)
	switch n := len(payload); {
	case n < 126:
		_ = w.WriteByte(byte(n))
	case n <= 0xffff:
		_, _ = w.Write(binary.BigEndian.AppendUint16([]byte{126}, uint16(n)))
	default:
		_, _ = w.Write(binary.BigEndian.AppendUint64([]byte{127}, uint64(n)))
	}
	_, _ = w.Write(payload)
}
