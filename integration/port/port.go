// SPDX-License-Identifier: Apache-2.0

// Package port finds ports for servers that are told where to listen.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// given are the ports that this process has had: whoever asks for some before
// using any must not get one twice.
var given sync.Map

// Free finds a port of the loopback address that nobody listens on. It is
// below those that the kernel gives by itself: a connection to somewhere else
// could have such a one by the time that it is used, or used again.
func Free() (int, error) {
	for range 100 {
		number := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
		if err != nil {
			continue
		}
		if _, again := given.LoadOrStore(number, nil); again {
			_ = l.Close()
			continue
		}
		return number, l.Close()
	}
	return 0, errors.New("no port of the loopback address is free")
}
