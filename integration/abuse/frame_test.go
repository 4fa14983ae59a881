// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// field is a header field, or a pseudo header, as it goes on the wire.
type field struct{ name, value string }

// http2Request is the usual beginning of a request over HTTP/2.
func (r *rig) http2Request(method, path string, more ...field) []field {
	return append([]field{
		{":method", method},
		{":scheme", "https"},
		{":authority", "localhost:" + strconv.Itoa(r.Port)},
		{":path", path},
	}, more...)
}

// send2 puts header fields on the wire as they are, over an HTTP/2 connection
// of their own, and reads the answer. The status is 0 if the server reset the
// stream or ended the connection.
func (r *rig) send2(fields []field, body string) reply {
	r.t.Helper()
	raw := r.dial()
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		r.t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		r.t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		r.t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
			r.t.Fatal(err)
		}
	}
	tunnel := fields[0].value == http.MethodConnect
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == "" && !tunnel}); err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		// The server may have hung up already, which the answer tells.
		_ = framer.WriteData(1, true, []byte(body))
	}
	return r.read2(framer, tunnel)
}

// read2 reads the answer on stream 1: that a tunnel is open, or all of it.
func (r *rig) read2(framer *http2.Framer, tunnel bool) reply {
	r.t.Helper()
	got := reply{header: make(http.Header)}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			if late(err) {
				r.t.Fatal("no answer over HTTP/2")
			}
			return reply{}
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == ":status" {
					got.status, _ = strconv.Atoi(h.Value)
				} else {
					got.header.Add(h.Name, h.Value)
				}
			}
			if f.StreamEnded() || tunnel && got.status == http.StatusOK {
				return got
			}
		case *http2.DataFrame:
			got.body += string(f.Data())
			if f.StreamEnded() {
				return got
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return reply{}
		}
	}
}
