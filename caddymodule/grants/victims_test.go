// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// numberOf is how many a test takes of something: as many as the variable says, or
// the usual number.
func numberOf(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// victims are children of a test, one after the other, each of which is killed
// within 4 ms of one of the platform's answers.
type victims struct {
	answers atomic.Int64 // so many from now the child is killed
	child   atomic.Pointer[victim]
}

type victim struct {
	*exec.Cmd
	started chan struct{} // closed once its Process can be read
}

// answered is called by the platform before each answer.
func (v *victims) answered() {
	if v.answers.Add(-1) != 0 {
		return
	}
	child := v.child.Load()
	time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, func() {
		<-child.started
		_ = child.Process.Kill()
	})
}

// run has a child of this program live until it is killed or done, and returns the
// lines that it has written. No line may say that something failed.
func (v *victims) run(t *testing.T, environment ...string) (lines []string) {
	t.Helper()
	child := &victim{exec.Command(os.Args[0]), make(chan struct{})}
	child.Env = append(os.Environ(), environment...)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.child.Store(child)
	v.answers.Store(1 + rand.Int64N(peopleOfRound-1))
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	close(child.started)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if strings.HasPrefix(scanner.Text(), "failed") {
			t.Error(scanner.Text())
		}
		lines = append(lines, scanner.Text())
	}
	_ = child.Wait()
	return lines
}
