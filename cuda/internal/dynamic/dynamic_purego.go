//go:build linux && (amd64 || arm64) && !nogpu

package dynamic

import "github.com/ebitengine/purego"

// BuiltIn reports whether this program can load libraries at all.
const BuiltIn = true

// Open maps a shared library into the process, for good.
func Open(name string) (handle uintptr, err error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// Symbol returns a function's address, 0 where the library has none.
func Symbol(handle uintptr, name string) uintptr {
	address, err := purego.Dlsym(handle, name)
	if err != nil {
		return 0
	}
	return address
}

// call calls a C function with integers and pointers, and returns its int.
//
//go:uintptrescapes
func call(address uintptr, args ...uintptr) int {
	r, _, _ := purego.SyscallN(address, args...)
	return int(int32(r))
}
