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
	"syscall"
	"testing"
)

// TestInterrupted: a signal ends the programs that a command started, and the
// command, though it is busy; its folder is removed.
func TestInterrupted(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(end.String(), func(t *testing.T) { interrupt(t, end) })
	}
}

func interrupt(t *testing.T, end syscall.Signal) {
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
	if err := cmd.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	// Both write to this pipe: it ends when both have.
	if _, err := io.ReadAll(lines); err != nil {
		t.Error(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(end) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(strings.TrimSpace(temp)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q is left: %v", temp, err)
	}
}
