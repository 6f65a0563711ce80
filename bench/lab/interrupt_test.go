//go:build unix

package lab

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestInterrupted: Ctrl-C ends the programs that a command started, and the
// command, though it is busy; its folder is removed.
func TestInterrupted(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAB_COMMAND=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewReader(out)
	temp, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// Both write to this pipe: it ends when both have.
	if _, err := io.ReadAll(lines); err != nil {
		t.Error(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(strings.TrimSpace(temp)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q is left: %v", temp, err)
	}
}
