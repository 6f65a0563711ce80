//go:build linux && (amd64 || arm64) && !nogpu

package driver

import "github.com/ebitengine/purego"

// builtIn reports whether this program can load libraries at all.
const builtIn = true

// loadLibrary maps a shared library into the process, for good.
func loadLibrary(name string) (handle uintptr, err error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// symbol returns a function's address, 0 where the library has none.
func symbol(handle uintptr, name string) uintptr {
	address, err := purego.Dlsym(handle, name)
	if err != nil {
		return 0
	}
	return address
}

// invoke calls a C function with integers and pointers, and returns its int.
//
//go:uintptrescapes
func invoke(address uintptr, args ...uintptr) int {
	r, _, _ := purego.SyscallN(address, args...)
	return int(int32(r))
}
