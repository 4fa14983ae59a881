// SPDX-License-Identifier: Apache-2.0

package publicaddr_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// TestIsPublic protects what only this machine reaches from whoever chooses an
// address: the first and last address of every special network, and as the control
// those right outside of it.
func TestIsPublic(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255",
		"127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.2.1", "192.88.99.1",
		"192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
		// IPv6: unspecified, loopback, IPv4-compatible, discard, ULA, metadata, link-local,
		// site-local, multicast, not given out.
		"::", "::1", "::7f00:1", "::8.8.8.8", "100::1", "fc00::", "fd00:ec2::254", "fd20:ce::254", "fdff::1",
		"fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff00::1", "ff02::1", "ff0e::1", "4000::1", "5f00::1", "1fff::1",
		// IPv6 of documentation, protocol assignments, Teredo, 6to4.
		"2001::1", "2001:0:7f00:1::", "2001:1ff::1", "2001:db8::1", "2002::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "3fff:fff::1",
		// IPv4 inside of IPv6: mapped, translated, NAT64 well-known and local.
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",
		"64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8%1", "64:ff9b:1::8.8.8.8",
		"2606:4700::1111%eth0",
	} {
		if publicaddr.IsPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as public", text)
		}
	}
	if publicaddr.IsPublic(netip.Addr{}) {
		t.Error("no address counts as public")
	}
	for _, text := range []string{
		"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	} {
		if !publicaddr.IsPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s does not count as public", text)
		}
	}
}

// TestControl protects against forms of an address or a network that the check could
// miss: what it cannot read is refused.
func TestControl(t *testing.T) {
	for _, row := range []struct {
		network, address string
		ok               bool
	}{
		{"tcp4", "8.8.8.8:443", true},
		{"tcp6", "[2606:4700::1111]:443", true},
		{"tcp6", "[::ffff:8.8.8.8]:443", true},
		{"tcp4", "127.0.0.1:443", false},
		{"tcp6", "[::ffff:127.0.0.1]:443", false},
		{"tcp6", "[fe80::1%lo]:443", false},
		{"udp4", "8.8.8.8:443", false}, // HTTP/3 does not come by here
		{"unix", "/run/docker.sock", false},
		{"tcp4", "8.8.8.8", false},
		{"tcp4", "0177.0.0.1:443", false},
		{"tcp4", "localhost:443", false},
		{"tcp4", "", false},
	} {
		if err := publicaddr.Control(row.network, row.address, nil); (err == nil) != row.ok {
			t.Errorf("%s %s: %v", row.network, row.address, err)
		}
	}
}

// TestControlInADialer protects the assumption that a dialer asks with each address,
// also with one that a name led to: localhost is refused before a connection is made.
func TestControlInADialer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0"} {
		address := net.JoinHostPort(host, port)
		if conn, err := (&net.Dialer{Control: publicaddr.Control}).Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Errorf("%s was connected to", address)
		}
	}
	conn, err := new(net.Dialer).Dial("tcp", net.JoinHostPort("127.0.0.1", port)) // the control
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != conn.LocalAddr().String() {
		t.Error("a connection was made, though it was refused")
	}
}
