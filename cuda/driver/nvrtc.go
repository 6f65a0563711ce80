package driver

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
)

// rtcNames are the names under which NVIDIA's run-time compiler is installed,
// newest first.
var rtcNames = []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"}

// rtcFunction numbers the compiler's functions that this package calls.
type rtcFunction int

const (
	rtcCreateProgram rtcFunction = iota
	rtcCompileProgram
	rtcDestroyProgram
	rtcPTXSize
	rtcPTX
	rtcLogSize
	rtcLog
	rtcFunctions
)

// rtcSymbols are the names under which the compiler's library exports them, with
// what they take (nvrtc.h).
var rtcSymbols = [rtcFunctions]dynamic.Function{
	rtcCreateProgram:  "nvrtcCreateProgram(nvrtcProgram *, const char *, const char *, int, const char * const *, const char * const *)",
	rtcCompileProgram: "nvrtcCompileProgram(nvrtcProgram, int, const char * const *)",
	rtcDestroyProgram: "nvrtcDestroyProgram(nvrtcProgram *)",
	rtcPTXSize:        "nvrtcGetPTXSize(nvrtcProgram, size_t *)",
	rtcPTX:            "nvrtcGetPTX(nvrtcProgram, char *)",
	rtcLogSize:        "nvrtcGetProgramLogSize(nvrtcProgram, size_t *)",
	rtcLog:            "nvrtcGetProgramLog(nvrtcProgram, char *)",
}

// rtc is the run-time compiler, by the addresses of its functions.
type rtc [rtcFunctions]uintptr

// call calls a function and returns an nvrtcResult.
//
//go:uintptrescapes
func (r *rtc) call(f rtcFunction, args ...uintptr) int { return rtcSymbols[f].Call(r[f], args...) }

// errNoRTC says that source cannot be compiled here.
var errNoRTC = errors.New("NVRTC is not installed: " + strings.Join(rtcNames, ", ") + " is not found")

var openedRTC = sync.OnceValues(func() (*rtc, error) { return openRTC(rtcLibraries()) })

func rtcLibraries() []string { return dynamic.Installed("libnvrtc", rtcNames) }

func openRTC(libraries []string) (*rtc, error) {
	for _, name := range libraries {
		handle, err := dynamic.Open(name)
		if err != nil {
			continue
		}
		r := &rtc{}
		for f := range rtcFunctions {
			if r[f] = dynamic.Symbol(handle, rtcSymbols[f].Name()); r[f] == 0 {
				return nil, fmt.Errorf("%s has no %s", name, rtcSymbols[f].Name())
			}
		}
		return r, nil
	}
	return nil, errNoRTC
}

// rtcInvalidOption is NVRTC's result for an architecture that it does not know.
const rtcInvalidOption = 5 // NVRTC_ERROR_INVALID_OPTION

// compile turns CUDA C++ into PTX for a device; where the compiler is older than
// the device, for the oldest that the kernels run on.
func (d *Driver) compile(source []byte, device Device) ([]byte, error) {
	r, err := d.rtc()
	if err != nil {
		return nil, err
	}
	ptx, err := r.run(source, fmt.Sprintf("--gpu-architecture=compute_%d%d", device.Major, device.Minor))
	var refused *rtcError
	if errors.As(err, &refused) && refused.code == rtcInvalidOption && device.Major >= 8 {
		return r.run(source, "--gpu-architecture=compute_80")
	}
	return ptx, err
}

// rtcError is a call that the run-time compiler refused.
type rtcError struct {
	call string
	code int
	log  string
}

func (e *rtcError) Error() string {
	text := fmt.Sprintf("%s: error %d", e.call, e.code)
	if e.log != "" {
		text += ": " + e.log
	}
	return text
}

// run compiles a program with the given options. The error carries the
// compiler's log.
func (r *rtc) run(source []byte, options ...string) ([]byte, error) {
	src := append(append([]byte{}, source...), 0)
	name := append([]byte("network.cu"), 0)
	program := new(uintptr)
	if code := r.call(rtcCreateProgram, uintptr(unsafe.Pointer(program)), uintptr(unsafe.Pointer(&src[0])), uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); code != 0 {
		return nil, &rtcError{call: rtcSymbols[rtcCreateProgram].Name(), code: code}
	}
	defer r.call(rtcDestroyProgram, uintptr(unsafe.Pointer(program)))
	var list []*byte
	for _, o := range options {
		list = append(list, &append([]byte(o), 0)[0])
	}
	if code := r.call(rtcCompileProgram, *program, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0]))); code != 0 {
		log, err := r.get(*program, rtcLogSize, rtcLog)
		if err != nil {
			log = []byte(err.Error())
		}
		return nil, &rtcError{rtcSymbols[rtcCompileProgram].Name(), code, strings.TrimSpace(string(log))}
	}
	return r.get(*program, rtcPTXSize, rtcPTX)
}

// get reads a text of a program: its size first, the zero at its end included.
func (r *rtc) get(program uintptr, size, read rtcFunction) ([]byte, error) {
	n := new(uint64)
	if code := r.call(size, program, uintptr(unsafe.Pointer(n))); code != 0 || *n == 0 {
		return nil, fmt.Errorf("NVRTC does not give the size of its result: error %d", code)
	}
	text := make([]byte, *n)
	if code := r.call(read, program, uintptr(unsafe.Pointer(&text[0]))); code != 0 {
		return nil, fmt.Errorf("NVRTC does not give its result: error %d", code)
	}
	return text[:*n-1], nil
}
