// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestNextImportLine protects the users behind a line that is too long: it is told like
// any other that is wrong, and they are imported. What follows JSON in it is not cut off,
// so that it would be taken for a good one.
func TestNextImportLine(t *testing.T) {
	long := `{"realm":"default"}` + strings.Repeat(" ", 2*maxImportLine) + "x"
	in := bufio.NewReader(strings.NewReader(" first\r\n\n" + long + "\nlast " + strings.Repeat("y", maxImportLine-5)))
	var got []string
	for {
		line, err := nextImportLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line))
	}
	if len(got) != 4 || got[0] != "first" || got[1] != "" || len(got[3]) != maxImportLine {
		t.Fatalf("%d lines: %.100q", len(got), got)
	}
	if _, err := parseImportLine([]byte(got[2])); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a long line: %v", err)
	}
	if _, err := nextImportLine(bufio.NewReader(failingReader{})); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("input that fails: %v", err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("read error") }
