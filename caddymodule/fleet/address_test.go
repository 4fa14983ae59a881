// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// shares fails unless two machines share a token and a purge.
func shares(t *testing.T, o Options) {
	t.Helper()
	o.Sealer = newKeyset(t)
	i := new(issuer)
	a, b := boot(t, i, o), boot(t, i, o)
	if a.get(t, person("alice")) != b.get(t, person("alice")) {
		t.Error("not shared")
	}
	if err := a.engine.Purge(t.Context(), alice); err != nil {
		t.Error(err)
	}
	select {
	case <-b.dropped:
	case <-time.After(5 * time.Second):
		t.Error("the purge does not arrive")
	}
	if a.get(t, person("alice")) != b.get(t, person("alice")) {
		t.Error("not shared after a purge")
	}
	// With people enough for all nodes of a cluster.
	before := time.Now()
	sender := &revoker{session.NewRevocations(), nil, a.fleet}
	sender.sessions = a.fleet.JoinRevocations(sender.Revocations)
	defer sender.sessions.Leave()
	for n := range 20 {
		sender.revoke(t, delegation.Person{Realm: "r", Subject: fmt.Sprint(n)})
	}
	late := newRevokerOf(t, o)
	for n := range 20 {
		if !late.is(delegation.Person{Realm: "r", Subject: fmt.Sprint(n)}, before) {
			t.Error("a machine that begins does not know what is revoked")
		}
	}
	if n := late.fleet.OtherMachines(t.Context()); n != 2 {
		t.Errorf("%d other machines", n)
	}
	for _, m := range []*machine{a, b} {
		if st := m.member.Status(); !st.Up || st.Failures != 0 {
			t.Errorf("status %+v", st)
		}
		if len(m.changes) > 0 {
			t.Errorf("it was down: %s", <-m.changes)
		}
	}
}

// TestACL protects the documentation: the commands and keys it names suffice.
func TestACL(t *testing.T) {
	s := serve(t)
	s.do("ACL", "SETUSER", "default", "off")
	rules := []any{"ACL", "SETUSER", "delegate", "on", ">p@ss/word?", "resetkeys"}
	for word := range strings.FieldsSeq(ACL(false)) {
		rules = append(rules, word)
	}
	s.do(rules...)
	shares(t, Options{URL: fmt.Sprintf("redis://delegate:p%%40ss%%2Fword%%3F@127.0.0.1:%d/3", s.port)})
}

// TestUnixSocket protects the URL of a server on the same machine.
func TestUnixSocket(t *testing.T) {
	s := serve(t)
	shares(t, Options{URL: "unix://" + filepath.Join(s.dir, "r.sock") + "?db=2"})
	if s.do("DBSIZE") != "0" {
		t.Error("the database was not selected")
	}
}

// TestTLS protects the way to Redis: encrypted, and only with a certificate
// that the given authority signed for the host.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	roots := certify(t, dir)
	port := freePort(t)
	serve(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", filepath.Join(dir, "cert.pem"),
		"--tls-key-file", filepath.Join(dir, "key.pem"), "--tls-auth-clients", "no")
	shares(t, Options{URL: fmt.Sprintf("rediss://localhost:%d", port), RootCAs: roots})
	for want, o := range map[string]Options{
		`its certificate is signed by an unknown authority, "test"; name yours with ca_file (PostgreSQL: sslrootcert)`: {URL: fmt.Sprintf("rediss://localhost:%d", port)},
		"its certificate is for another host": {URL: fmt.Sprintf("rediss://127.0.0.1:%d", port), RootCAs: roots},
	} {
		o.Sealer = newKeyset(t)
		m := boot(t, new(issuer), o)
		m.get(t, person("alice"))
		if c := m.change(t); c != want {
			t.Errorf("cause %q, want %q", c, want)
		}
	}
}

// certify writes a certificate for localhost, the name, and returns its authority.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{
		"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return roots
}

// TestCluster protects the key names: what one script touches is in one slot,
// and everything else may be anywhere.
func TestCluster(t *testing.T) {
	var nodes []*server
	for range 2 {
		nodes = append(nodes, serve(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", fmt.Sprint(freePort(t))))
	}
	nodes[0].do("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
	nodes[1].do("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
	nodes[1].do("CLUSTER", "SET-CONFIG-EPOCH", 2)
	nodes[0].do("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, nodes[1].do("CONFIG", "GET", "cluster-port")[len("map[cluster-port:"):len(nodes[1].do("CONFIG", "GET", "cluster-port"))-1])
	for _, n := range nodes {
		until(t, 20*time.Second, "the cluster is well", func() bool { return strings.Contains(n.do("CLUSTER", "INFO"), "cluster_state:ok") })
	}
	shares(t, Options{URL: fmt.Sprintf("redis-cluster://127.0.0.1:%d?addr=127.0.0.1:%d", nodes[0].port, nodes[1].port)})
	// With people enough for both nodes.
	i := new(issuer)
	o := Options{URL: fmt.Sprintf("redis-cluster://127.0.0.1:%d", nodes[0].port), Sealer: newKeyset(t)}
	a, b := boot(t, i, o), boot(t, i, o)
	for n := range 30 {
		if a.get(t, person(fmt.Sprint(n))) != b.get(t, person(fmt.Sprint(n))) {
			t.Error("not shared")
		}
	}
	for _, n := range nodes {
		if len(n.keys("token")) == 0 {
			t.Error("a node holds no token")
		}
	}
}

// TestSentinel protects the URL by which the master is found, and that
// machines follow it when it changes.
func TestSentinel(t *testing.T) {
	master := serve(t)
	replica := serve(t, "--replicaof", "127.0.0.1", fmt.Sprint(master.port))
	until(t, 20*time.Second, "the replica follows", func() bool { return strings.Contains(replica.do("INFO", "replication"), "master_link_status:up") })
	sentinel := startSentinel(t, master)
	shares(t, Options{URL: fmt.Sprintf("redis://127.0.0.1:%d/?master_name=mymaster", sentinel.port)})

	i := new(issuer)
	o := Options{URL: fmt.Sprintf("redis://127.0.0.1:%d/?master_name=mymaster", sentinel.port), Sealer: newKeyset(t), Timeout: 500 * time.Millisecond}
	a, b := boot(t, i, o), boot(t, i, o)
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	until(t, 30*time.Second, "sentinel knows a replica that is well", func() bool {
		return sentinel.admin.Do(t.Context(), "SENTINEL", "FAILOVER", "mymaster").Err() == nil
	})
	until(t, 30*time.Second, "the replica is master", func() bool { return strings.Contains(replica.do("INFO", "replication"), "role:master") })
	master.kill()
	until(t, 30*time.Second, "it is shared again", func() bool {
		id := person(fmt.Sprint(i.mints.Load()))
		return a.get(t, id) == b.get(t, id) && len(replica.keys("token")) > 1
	})
}

// startSentinel starts a Sentinel.
func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	t.Cleanup(s.kill)
	for range 5 {
		s.port = freePort(t)
		file := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\nunixsocket r.sock\nsentinel monitor mymaster 127.0.0.1 %d 1\nsentinel down-after-milliseconds mymaster 1000\n", s.port, master.port)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.flags = []string{file, "--sentinel"}
		if s.start() {
			return s
		}
	}
	t.Fatal("the sentinel does not start")
	return nil
}

// TestURLs protects passwords: whatever is wrong with a URL, the error quotes
// nothing of it. And certificates are always checked.
func TestURLs(t *testing.T) {
	for _, u := range []string{
		"", "canary", "http://u:canary@h", "redis://u:can%zzary@h", "redis://u:canary/x@h", "redis://u:12/canary@h", "redis://u:12?canary@h",
		"redis://u:1#canary@h:x", "redis://h:canary", "redis://h/canary", "redis://h?canary=1", "redis://h?db=canary", "unix://u:canary@",
		"rediss://h?skip_verify=true", "redis://h?read_timeout=canary", "redis://h?master_name=", "redis-cluster://h?addr=canary",
		"redis-cluster://h?master_name=canary", "redis://h?master_name=m&route_randomly=true", "redis://u:c\x7fanary@h", "redis://h?%zz=canary",
	} {
		if _, err := Open(Options{URL: u, Sealer: newKeyset(t)}); err == nil {
			t.Errorf("%q is accepted", u)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", u, err)
		}
	}
	if _, err := Open(Options{URL: "redis://h"}); err == nil {
		t.Error("accepted without a keyset")
	}
	for _, u := range []string{
		"redis://h", "redis://u:p@h:1/2", "rediss://h?pool_size=3", "unix:///s", "redis-cluster://u:p@h:1?addr=g:2", "rediss-cluster://h",
		"redis://h:26379/1?master_name=m&addr=g:26379&username=u&password=p", "redis://[::1]:1",
	} {
		f, err := Open(Options{URL: u, Sealer: newKeyset(t)})
		if err != nil {
			t.Errorf("%q: %v", u, err)
			continue
		}
		if err := f.Close(); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}
