// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// answerTimeout is what an answer may take.
const answerTimeout = 30 * time.Second

// client is one HTTP/1.1 connection. It does as little as it can: what the
// load costs hides the differences between what it is sent to.
type client struct {
	addr string
	head string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

// newClient returns a client that names the user in a header line that begins
// as given.
func newClient(addr, line string) *client {
	return &client{
		addr: addr,
		// What a browser sends, more or less.
		head: "GET " + prefix + route + " HTTP/1.1\r\nHost: " + addr + "\r\n" +
			"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nUser-Agent: bench\r\n" + line,
		in: bufio.NewReader(nil),
	}
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// get sends a request and reads the answer. The status is 0 if there is none.
// missed tells that the answer says that the token was not at hand.
func (c *client) get(user string) (status int, missed bool) {
	status, missed, again, err := c.exchange(user)
	if err != nil || !again {
		c.close()
	}
	if err != nil {
		return 0, false
	}
	return status, missed
}

func (c *client) exchange(user string) (status int, missed, again bool, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, answerTimeout); err != nil {
			c.conn = nil
			return 0, false, false, err
		}
		c.in.Reset(c.conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, false, false, err
	}
	c.out = append(append(append(c.out[:0], c.head...), user...), "\r\n\r\n"...)
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, false, false, err
	}
	return readAnswer(c.in)
}

// readAnswer reads an answer to its end. again tells whether the connection
// can be used for another request.
func readAnswer(in *bufio.Reader) (status int, missed, again bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, false, err
	}
	if len(line) < 14 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, false, false, fmt.Errorf("the answer is no HTTP/1.1")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, false, err
	}
	again = true
	length, chunked := 0, false
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, false, false, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, false, err
			}
		case "Transfer-Encoding":
			chunked = true
		case "Connection":
			again = !bytes.EqualFold(value, []byte("close"))
		case "X-Cache":
			missed = string(value) == "miss"
		}
	}
	if chunked {
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
			return 0, false, false, err
		}
		length = 2 // the line break behind the last chunk
	}
	_, err = in.Discard(length)
	return status, missed, again, err
}
