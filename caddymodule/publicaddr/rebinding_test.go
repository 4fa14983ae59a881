// SPDX-License-Identifier: Apache-2.0

package publicaddr_test

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr/dnstest"
)

// TestT65_AnotherAddressAtTheSecondLookup protects against a name server that answers
// with a public address while a host is checked, and with a private one when it is
// connected to (DNS rebinding). What counts is the address of each connection: the
// first is let through, and stopped by the test before anything is sent to it.
func TestT65_AnotherAddressAtTheSecondLookup(t *testing.T) {
	lookups := dnstest.Answer(t, "vendor.example", "8.8.8.8", "169.254.169.254", "127.0.0.1", "8.8.8.8")
	errLetThrough := errors.New("let through")
	var asked []string
	dialer := &net.Dialer{Control: func(network, address string, c syscall.RawConn) error {
		asked = append(asked, address)
		if err := publicaddr.Control(network, address, c); err != nil {
			return err
		}
		return errLetThrough
	}}
	for i, public := range []bool{true, false, false, true} {
		_, err := dialer.Dial("tcp", "vendor.example:443")
		if _, refused := errors.AsType[*publicaddr.Error](err); refused == public || public && !errors.Is(err, errLetThrough) {
			t.Errorf("connection %d: %v", i+1, err)
		}
	}
	if want := []string{"8.8.8.8:443", "169.254.169.254:443", "127.0.0.1:443", "8.8.8.8:443"}; !slices.Equal(asked, want) || lookups() != 4 {
		t.Errorf("%d look-ups, connections to %v", lookups(), asked)
	}
}
