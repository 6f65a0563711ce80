package scratch_test

import (
	"os/exec"
	"testing"

	"github.com/dnngen/dnngen/internal/scratch"
)

// TestProgram: a package that registers itself is found by the program's runner.
func TestProgram(t *testing.T) {
	m := scratch.New(t)
	m.Put("backend/internal/runner/runner.go", []byte(`package runner

import (
	"fmt"
	"io"

	"github.com/dnngen/dnngen/internal/engines"
)

var more string

func Note(s string) { more = s }

func Serve(_ io.Reader, out io.Writer) error {
	d, err := engines.Devices("net")
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, d[0].Name, more)
	return err
}
`))
	m.Put("backend/nets/net/net.go", []byte(`package net

import "github.com/dnngen/dnngen/runtime/engine"

func devices() []engine.Device { return []engine.Device{{Name: "cpu:go"}} }
`))
	const runner = "backend/internal/runner"
	m.Register("backend/nets/net", "net", "devices", runner, `runner.Note(" and more")`)
	out, err := exec.Command(m.Program(runner, []string{"backend/nets/net"})).CombinedOutput()
	if err != nil || string(out) != "cpu:go and more" {
		t.Errorf("%q, error %v", out, err)
	}
}
