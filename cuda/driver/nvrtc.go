package driver

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
)

// rtcNames are the names under which NVIDIA's run-time compiler is installed,
// newest first.
var rtcNames = []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"}

// rtcFunction numbers the compiler's functions that this package calls.
type rtcFunction int

const (
	rtcVersion rtcFunction = iota
	rtcCreateProgram
	rtcCompileProgram
	rtcDestroyProgram
	rtcPTXSize
	rtcPTX
	rtcCubinSize
	rtcCubin
	rtcLogSize
	rtcLog
	rtcFunctions
)

// rtcSymbols are the names under which the compiler's library exports them, with
// what they take (nvrtc.h).
var rtcSymbols = [rtcFunctions]dynamic.Function{
	rtcVersion:        "nvrtcVersion(int *, int *)",
	rtcCreateProgram:  "nvrtcCreateProgram(nvrtcProgram *, const char *, const char *, int, const char * const *, const char * const *)",
	rtcCompileProgram: "nvrtcCompileProgram(nvrtcProgram, int, const char * const *)",
	rtcDestroyProgram: "nvrtcDestroyProgram(nvrtcProgram *)",
	rtcPTXSize:        "nvrtcGetPTXSize(nvrtcProgram, size_t *)",
	rtcPTX:            "nvrtcGetPTX(nvrtcProgram, char *)",
	rtcCubinSize:      "nvrtcGetCUBINSize(nvrtcProgram, size_t *)",
	rtcCubin:          "nvrtcGetCUBIN(nvrtcProgram, char *)",
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

func rtcLibraries() []string { return dynamic.Installed("libnvrtc", rtcNames) }

// openRTC opens the first of the libraries that is there, and whose code a driver
// takes that supports CUDA up to a version: it has the same major version, or an
// older one.
func openRTC(libraries []string, version int) (*rtc, error) {
	why := errNoRTC
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
		major, minor := new(int32), new(int32)
		if code := r.call(rtcVersion, uintptr(unsafe.Pointer(major)), uintptr(unsafe.Pointer(minor))); code != 0 {
			return nil, &rtcError{call: rtcSymbols[rtcVersion].Name(), code: code}
		}
		if int(*major) <= version/1000 {
			return r, nil
		}
		why = fmt.Errorf("%s is NVRTC %d.%d, and the driver supports CUDA %s", name, *major, *minor, versionText(version))
	}
	return nil, why
}

// rtcInvalidOption is NVRTC's result for an architecture that it does not know.
const rtcInvalidOption = 5 // NVRTC_ERROR_INVALID_OPTION

// compile turns CUDA C++ into machine code for a device. PTX of a compiler that is
// newer than the driver, if only by its minor version, the driver would refuse.
// Where the compiler is older than the device it is PTX, for the oldest device that
// the kernels run on: then the driver, which knows the device, is not older.
func (d *Driver) compile(source []byte, device Device) ([]byte, Form, error) {
	r, err := d.rtc()
	if err != nil {
		return nil, Cubin, err
	}
	code, err := r.run(source, fmt.Sprintf("--gpu-architecture=sm_%d%d", device.Major, device.Minor), rtcCubinSize, rtcCubin)
	var refused *rtcError
	if errors.As(err, &refused) && refused.code == rtcInvalidOption && device.Major >= 8 {
		code, err = r.run(source, "--gpu-architecture=compute_80", rtcPTXSize, rtcPTX)
		return code, PTX, err
	}
	return code, Cubin, err
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

// run compiles a program with an option, and returns what two functions give the
// size of, and the bytes. The error carries the compiler's log.
func (r *rtc) run(source []byte, option string, size, read rtcFunction) ([]byte, error) {
	src := append(append([]byte{}, source...), 0)
	name := append([]byte("network.cu"), 0)
	program := new(uintptr)
	if code := r.call(rtcCreateProgram, uintptr(unsafe.Pointer(program)), uintptr(unsafe.Pointer(&src[0])), uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); code != 0 {
		return nil, &rtcError{call: rtcSymbols[rtcCreateProgram].Name(), code: code}
	}
	defer r.call(rtcDestroyProgram, uintptr(unsafe.Pointer(program)))
	options := []*byte{&append([]byte(option), 0)[0]}
	if code := r.call(rtcCompileProgram, *program, uintptr(len(options)), uintptr(unsafe.Pointer(&options[0]))); code != 0 {
		log, err := r.get(*program, rtcLogSize, rtcLog)
		if err != nil {
			log = []byte(err.Error())
		}
		return nil, &rtcError{rtcSymbols[rtcCompileProgram].Name(), code, text(log)}
	}
	return r.get(*program, size, read)
}

// get reads a result of a program, its size first: a text ends with a zero.
func (r *rtc) get(program uintptr, size, read rtcFunction) ([]byte, error) {
	n := new(uint64)
	if code := r.call(size, program, uintptr(unsafe.Pointer(n))); code != 0 || *n == 0 {
		return nil, fmt.Errorf("NVRTC does not give the size of its result: error %d", code)
	}
	result := make([]byte, *n)
	if code := r.call(read, program, uintptr(unsafe.Pointer(&result[0]))); code != 0 {
		return nil, fmt.Errorf("NVRTC does not give its result: error %d", code)
	}
	return result, nil
}
