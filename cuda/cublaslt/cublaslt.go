// Package cublaslt multiplies matrices by NVIDIA's library cuBLASLt, where it is
// installed: it is no part of the driver. It is found at run time, without cgo.
//
// What it makes belongs to the driver's context in which it was made, and is
// used by the context's thread alone.
//
// Function names, constants and structures are those of the cuBLAS documentation,
// https://docs.nvidia.com/cuda/cublas, and of cublasLt.h, versions 11 to 13.
package cublaslt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
)

// Library is the library of this machine.
type Library struct {
	Name    string // "libcublasLt.so.12"
	Version int    // 10000·major + 100·minor + patch
	address [functions]uintptr
}

// Missing says why there is no library to use.
type Missing struct{ Detail string }

func (e *Missing) Error() string { return e.Detail }

// Error is a call that the library refused.
type Error struct {
	Call   string // "cublasLtMatmul"
	Status int    // a cublasStatus_t
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: cuBLAS status %d", e.Call, e.Status)
	if name := statuses[e.Status]; name != "" {
		text += ", " + name
	}
	return text
}

var (
	openOnce sync.Mutex
	opened   = map[int]func() (*Library, error){}
)

// Open returns the newest of the machine's libraries for a driver that supports
// CUDA up to a version, 1000·major + 10·minor. It asks once and remembers the
// answer. The error is a *Missing.
func Open(cuda int) (*Library, error) {
	major := cuda / 1000
	openOnce.Lock()
	defer openOnce.Unlock()
	if opened[major] == nil {
		opened[major] = sync.OnceValues(func() (*Library, error) { return open(major) })
	}
	return opened[major]()
}

func open(major int) (*Library, error) {
	if !dynamic.BuiltIn {
		return nil, &Missing{"this program was built without CUDA"}
	}
	for _, name := range dynamic.Installed("libcublasLt", names) {
		// A library needs a driver of its own major version.
		if of, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:]); err != nil || of > major {
			continue
		}
		if handle, err := dynamic.Open(name); err == nil {
			return load(name, handle)
		}
	}
	return nil, &Missing{fmt.Sprintf("cuBLASLt for CUDA %d or older is not installed: of %s none is found", major, strings.Join(names, ", "))}
}

// load finds the functions of a library.
func load(name string, handle uintptr) (*Library, error) {
	l := &Library{Name: name}
	for f := range functions {
		if l.address[f] = dynamic.Symbol(handle, symbols[f].Name()); l.address[f] == 0 {
			return nil, &Missing{fmt.Sprintf("%s has no %s", name, symbols[f].Name())}
		}
	}
	l.Version = symbols[fnGetVersion].Call(l.address[fnGetVersion])
	return l, nil
}

// String names the library with its version.
func (l *Library) String() string {
	return fmt.Sprintf("cuBLASLt %d.%d.%d", l.Version/10000, l.Version/100%100, l.Version%100)
}

// call calls a function; nil means that it succeeded.
//
//go:uintptrescapes
func (l *Library) call(f function, args ...uintptr) error {
	if status := symbols[f].Call(l.address[f], args...); status != 0 {
		return &Error{Call: symbols[f].Name(), Status: status}
	}
	return nil
}

// Status returns the cublasStatus_t of an error, 0 where it has none.
func Status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
