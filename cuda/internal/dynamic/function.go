package dynamic

import (
	"fmt"
	"strings"
)

// Function is a function of a C library that returns an int, or an enum: its name
// and the types of its parameters as its header has them, "cuMemFree_v2(CUdeviceptr)".
// They are integers, enums and pointers alone.
type Function string

// Name is what the library exports it under.
func (f Function) Name() string {
	name, _, _ := strings.Cut(string(f), "(")
	return name
}

// Call calls the function, which is at an address, with an integer or a pointer
// for each parameter. With another number of them C would take for the rest what
// happens to stand there.
//
//go:uintptrescapes
func (f Function) Call(address uintptr, args ...uintptr) int {
	if n := f.parameters(); len(args) != n {
		panic(fmt.Sprintf("%s is called with %d arguments", f, len(args)))
	}
	return call(address, args...)
}

func (f Function) parameters() int {
	if strings.HasSuffix(string(f), "(void)") {
		return 0
	}
	return 1 + strings.Count(string(f), ",")
}
