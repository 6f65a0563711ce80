package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Cause is why there is no driver to use.
type Cause int

const (
	NotBuiltIn Cause = iota // the program was built without the binding
	NoLibrary               // libcuda.so.1 is not installed or does not load
	TooOld                  // the driver lacks what this package needs
	NoDevice                // the driver sees no GPU
	Broken                  // the driver is there and refuses to start
)

// Missing says why CUDA cannot be used on this machine.
type Missing struct {
	Cause  Cause
	Detail string
}

func (e *Missing) Error() string { return e.Detail }

// ErrClosed is what a Context that was closed answers.
var ErrClosed = errors.New("the CUDA context is closed")

// Result codes that this package treats by themselves (cuda.h, enum CUresult).
const (
	codeInvalidValue   = 1   // CUDA_ERROR_INVALID_VALUE
	codeOutOfMemory    = 2   // CUDA_ERROR_OUT_OF_MEMORY
	codeNoDevice       = 100 // CUDA_ERROR_NO_DEVICE
	codeInvalidImage   = 200 // CUDA_ERROR_INVALID_IMAGE
	codeNoBinaryForGPU = 209 // CUDA_ERROR_NO_BINARY_FOR_GPU
	codeInvalidPTX     = 218 // CUDA_ERROR_INVALID_PTX
	codeJITNotFound    = 221 // CUDA_ERROR_JIT_COMPILER_NOT_FOUND
	codeUnsupportedPTX = 222 // CUDA_ERROR_UNSUPPORTED_PTX_VERSION
	codeJITDisabled    = 223 // CUDA_ERROR_JIT_COMPILATION_DISABLED
	codeNotReady       = 600 // CUDA_ERROR_NOT_READY
)

// codeMissingFromLibrary is no CUresult: the symbol is not there.
const codeMissingFromLibrary = -1

// sticky are the codes after which the process can do nothing more on the
// device: every later call gives the same code. All are among them of
// which cuda.h says that the process must be terminated.
var sticky = map[int]bool{
	4:   true, // CUDA_ERROR_DEINITIALIZED
	46:  true, // CUDA_ERROR_DEVICE_UNAVAILABLE
	214: true, // CUDA_ERROR_ECC_UNCORRECTABLE
	220: true, // CUDA_ERROR_NVLINK_UNCORRECTABLE
	226: true, // CUDA_ERROR_CONTAINED
	700: true, // CUDA_ERROR_ILLEGAL_ADDRESS
	702: true, // CUDA_ERROR_LAUNCH_TIMEOUT
	709: true, // CUDA_ERROR_CONTEXT_IS_DESTROYED
	710: true, // CUDA_ERROR_ASSERT
	714: true, // CUDA_ERROR_HARDWARE_STACK_ERROR
	715: true, // CUDA_ERROR_ILLEGAL_INSTRUCTION
	716: true, // CUDA_ERROR_MISALIGNED_ADDRESS
	717: true, // CUDA_ERROR_INVALID_ADDRESS_SPACE
	718: true, // CUDA_ERROR_INVALID_PC
	719: true, // CUDA_ERROR_LAUNCH_FAILED
	721: true, // CUDA_ERROR_TENSOR_MEMORY_LEAK
	810: true, // CUDA_ERROR_MPS_CLIENT_TERMINATED
	911: true, // CUDA_ERROR_EXTERNAL_DEVICE
	999: true, // CUDA_ERROR_UNKNOWN
}

// Error is a call that the driver refused.
type Error struct {
	Call   string // "cuMemAlloc_v2"
	Code   int    // a CUresult
	Name   string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text   string // what the driver says of the code
	Kernel string // the kernel, where the call was about one
	Detail string // the JIT compiler's log; bytes asked for and free
	// Earlier is the sticky error that made the context useless, where this
	// call came after it and was not made any more.
	Earlier *Error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Call)
	if e.Kernel != "" {
		fmt.Fprintf(&b, " (kernel %s)", e.Kernel)
	}
	if e.Earlier != nil {
		fmt.Fprintf(&b, ": not called, the device failed before: %v", e.Earlier)
		return b.String()
	}
	fmt.Fprintf(&b, ": CUDA error %d", e.Code)
	if e.Name != "" {
		fmt.Fprintf(&b, ", %s", e.Name)
	}
	if e.Text != "" {
		fmt.Fprintf(&b, ": %s", e.Text)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	return b.String()
}

// Unwrap returns the sticky error that came before this call, if any.
func (e *Error) Unwrap() error {
	if e.Earlier == nil {
		return nil
	}
	return e.Earlier
}

// Sticky reports whether the context is lost: nothing on the device can be
// read or written any more, only Close is left.
func (e *Error) Sticky() bool { return e.Earlier != nil || sticky[e.Code] }

// OutOfMemory reports whether the device or the pinned memory of the host was
// exhausted. The context stays usable.
func (e *Error) OutOfMemory() bool { return e.Code == codeOutOfMemory }

// Lost reports whether err says, among other things perhaps, that the device is
// lost for this process.
func Lost(err error) bool {
	switch e := err.(type) {
	case *Error:
		return e.Sticky()
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), Lost)
	case interface{ Unwrap() error }:
		return Lost(e.Unwrap())
	}
	return false
}

// code returns the CUresult of an error, 0 where it has none.
func code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
