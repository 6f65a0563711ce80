package trainer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// A device that fails in the middle of a command ends it as a missing one does;
// any other panic goes on.
func TestFailedDevice(t *testing.T) {
	lost := &engine.Failure{Device: "cuda:0", Err: errors.New("gone")}
	if err := engine.Survive(func() error { panic(lost) }); status(err) != exitResources || err.Error() != "device cuda:0 failed: gone" {
		t.Errorf("got %v, status %d", err, status(err))
	}
	want := errors.New("other")
	if err := engine.Survive(func() error { return want }); err != want {
		t.Errorf("got %v, want %v", err, want)
	}
	defer func() {
		if recover() != "a bug" {
			t.Error("a bug did not panic")
		}
	}()
	_ = engine.Survive(func() error { panic("a bug") })
}

// A model that is cut off while another file is written from it is what is at
// fault, and not the other file.
func TestModelThatShrinksIsUnusable(t *testing.T) {
	for _, torn := range []error{&safetensors.Error{Msg: "the file ends while it is read"}, &rundir.Corrupt{Reason: "the file ends while it is read"}} {
		if got := status(&failure{exitResources, fmt.Errorf("write x: %w", torn)}); got != exitRun {
			t.Errorf("%v: exit status %d, want %d", torn, got, exitRun)
		}
	}
}
