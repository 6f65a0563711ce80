package trainer

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// Exit status of a trainer. An interrupted training has 128 and the number of
// the signal: 129 for SIGHUP, which a closed terminal sends, 130 or 143.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitData      = 4
	exitNonFinite = 5
	exitRun       = 6
	exitResources = 7
)

// failure gives an error an exit status that its type does not tell.
type failure struct {
	code int
	err  error
}

func (e *failure) Error() string { return e.err.Error() }

func (e *failure) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

// inRun marks what went wrong with a run directory, a checkpoint or a model.
func inRun(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitRun, err}
}

// status returns the exit status of an error.
func status(err error) int {
	var (
		signal  *interrupted
		bad     *loop.NonFinite
		param   *rundir.BadParameter
		source  *data.Error
		unknown *device.Unknown
		absent  *device.Absent
		lost    *engine.Failure
		torn    *safetensors.Error
		corrupt *rundir.Corrupt
		marked  *failure
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &signal):
		return signal.code()
	case errors.As(err, &bad), errors.As(err, &param):
		return exitNonFinite
	case errors.As(err, &source):
		return exitData
	case errors.As(err, &unknown):
		return exitUsage
	case errors.As(err, &absent), errors.As(err, &lost), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return exitResources
	case errors.As(err, &torn), errors.As(err, &corrupt): // also while another file was written from it
		return exitRun
	case errors.As(err, &marked):
		return marked.code
	}
	return exitFailed
}

// report says what went wrong on standard error and returns the exit status.
func (a *app) report(err error) int {
	code := status(err)
	var signal *interrupted
	switch {
	case err == nil:
	case errors.As(err, &signal):
		fmt.Fprintln(a.stderr, err)
	case code == exitUsage:
		fmt.Fprintf(a.stderr, "error: %v\ntry: %s help%s\n", err, a.program, a.topic)
	default:
		fmt.Fprintf(a.stderr, "error: %v\n", err)
	}
	return code
}
