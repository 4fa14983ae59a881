// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// writerFile names the database to a child of this test that writes until it
// is killed; the keyset is beside it.
const writerFile = "GRANTS_TEST_FILE"

// write connects one person after the other, and says so once each is
// acknowledged.
func write(file string) {
	fail := func(err error) {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	text, err := os.ReadFile(file + ".keys")
	if err != nil {
		fail(err)
	}
	k, err := keyset.Parse(string(text))
	if err != nil {
		fail(err)
	}
	s, err := Open(context.Background(), Options{File: file, Keyset: k})
	if err != nil {
		fail(err)
	}
	for i := 0; ; i++ {
		who := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if _, err := connect(s, who, "account-"+who, "key-"+who); err != nil {
			fail(err)
		}
		fmt.Println(who)
	}
}

// TestKilled protects members' keys, which the platform cannot give a second
// time, from a process that is killed at any moment: what was acknowledged is
// there and can be read, with SQLite in the middle of writing.
func TestKilled(t *testing.T) {
	const rounds = 200
	file := filepath.Join(t.TempDir(), "grants.db")
	k := newKeyset(t)
	if err := k.Create(file + ".keys"); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for range rounds {
		child := exec.Command(self)
		child.Env = append(os.Environ(), writerFile+"="+file)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		before := len(acknowledged)
		lines := bufio.NewScanner(out)
		// The first answers show that it writes; the kill comes at any moment
		// of one of the next.
		var killer *time.Timer
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "failed") {
				_ = child.Process.Kill()
				t.Fatal(lines.Text())
			}
			acknowledged = append(acknowledged, lines.Text())
			if killer == nil {
				killer = time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		_ = child.Wait()
		if len(acknowledged) == before {
			t.Fatal("the writer has written nothing")
		}
	}
	s := opened(t, Options{File: file, Keyset: k})
	for _, who := range acknowledged {
		holds(t, s, who, "account-"+who, "key-"+who)
	}
	if list := all(t, s); len(list) < len(acknowledged) || len(list) > len(acknowledged)+rounds {
		t.Errorf("%d grants for %d that were acknowledged", len(list), len(acknowledged))
	}
	t.Logf("%d rounds, %d acknowledged grants", rounds, len(acknowledged))
}

// TestPostgresKilled protects the same with PostgreSQL: it is killed and
// started again. While it is away that is said, and nothing is half done.
func TestPostgresKilled(t *testing.T) {
	server := postgresServer(t)
	address, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, Options{Postgres: address, Keyset: newKeyset(t)})
	var acknowledged []string
	for round := range 3 {
		stop, over, some := make(chan struct{}), make(chan []string), make(chan struct{})
		go func() {
			var done []string
			for i := 0; ; i++ {
				select {
				case <-stop:
					over <- done
					return
				default:
				}
				who := fmt.Sprintf("%d-%d", round, i)
				if _, err := connect(s, who, "account-"+who, "key-"+who); err == nil {
					if done = append(done, who); len(done) == 5 {
						close(some)
					}
				}
			}
		}()
		<-some // and it goes on
		server.Kill()
		_, err := s.Find(t.Context(), owner("nobody"))
		want(t, "while it is away", err, ErrUnavailable)
		close(stop)
		acknowledged = append(acknowledged, <-over...)
		if err := server.Launch(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Find(t.Context(), owner("nobody"))
		want(t, "when it is back", err, ErrNotFound)
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was written")
	}
	for _, who := range acknowledged {
		holds(t, s, who, "account-"+who, "key-"+who)
	}
}
