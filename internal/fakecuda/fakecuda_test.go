//go:build linux && (amd64 || arm64)

package fakecuda

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// raw calls the fake's functions as any program could.
type raw struct {
	t      *testing.T
	handle uintptr
	out    *[4]uint64 // what functions write
}

func (r raw) call(name string, args ...uintptr) int {
	r.t.Helper()
	f, err := purego.Dlsym(r.handle, name)
	if err != nil {
		r.t.Fatal(err)
	}
	code, _, _ := purego.SyscallN(f, args...)
	return int(int32(code))
}

func (r raw) to(i int) uintptr { return uintptr(unsafe.Pointer(&r.out[i])) }

// start makes a context, one allocation of 64 bytes, a stream and an event.
func (r raw) start() (memory, stream, event uintptr) {
	r.t.Helper()
	for _, code := range []int{
		r.call("cuInit", 0), r.call("cuDeviceGet", r.to(0), 0), r.call("cuDevicePrimaryCtxRetain", r.to(1), uintptr(uint32(r.out[0]))),
		r.call("cuCtxSetCurrent", uintptr(r.out[1])), r.call("cuMemAlloc_v2", r.to(1), 64), r.call("cuStreamCreate", r.to(2), 1), r.call("cuEventCreate", r.to(3), 2),
	} {
		if code != 0 {
			r.t.Fatalf("a call that is right gives %d", code)
		}
	}
	return uintptr(r.out[1]), uintptr(r.out[2]), uintptr(r.out[3])
}

// TestRulesAreKept breaks the rules of the interface one by one.
func TestRulesAreKept(t *testing.T) {
	runtime.LockOSThread() // contexts belong to threads
	defer runtime.UnlockOSThread()
	f := Open(t, "")
	handle, err := purego.Dlopen(f.Path, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	r := raw{t, handle, new([4]uint64)}
	host := make([]byte, 64)
	at := uintptr(unsafe.Pointer(&host[0]))
	for want, broken := range map[string]func(memory, stream, event uintptr){
		"cuInit: flags 1":                          func(_, _, _ uintptr) { r.call("cuInit", 1) },
		"cuDeviceGet: device 1 of 1":               func(_, _, _ uintptr) { r.call("cuDeviceGet", r.to(0), 1) },
		"cuDeviceGetAttribute: device 0":           func(_, _, _ uintptr) { r.call("cuDeviceGetAttribute", r.to(0), 75, 0) },
		"cuMemAlloc_v2: 0 bytes":                   func(_, _, _ uintptr) { r.call("cuMemAlloc_v2", r.to(0), 0) },
		"cuMemFree_v2: no allocation starts there": func(m, _, _ uintptr) { r.call("cuMemFree_v2", m+8) },
		"cuMemFreeHost: no pinned allocation":      func(m, _, _ uintptr) { r.call("cuMemFreeHost", m) },
		"cuMemcpyHtoD_v2: 65 bytes":                func(m, _, _ uintptr) { r.call("cuMemcpyHtoD_v2", m, at, 65) },
		"cuMemcpyDtoH_v2: 60 bytes":                func(m, _, _ uintptr) { r.call("cuMemcpyDtoH_v2", at, m+8, 60) },
		"cuMemsetD8_v2: 64 bytes":                  func(m, _, _ uintptr) { r.call("cuMemsetD8_v2", m+1, 0, 64) },
		"cuMemcpyHtoDAsync_v2: 64 bytes":           func(m, s, _ uintptr) { r.call("cuMemcpyHtoDAsync_v2", m, at, 64, s) },
		"cuMemcpyDtoDAsync_v2: no stream":          func(m, _, e uintptr) { r.call("cuMemcpyDtoDAsync_v2", m, m, 8, e) },
		"cuStreamCreate: flags 2":                  func(_, _, _ uintptr) { r.call("cuStreamCreate", r.to(0), 2) },
		"cuStreamSynchronize: no stream":           func(_, _, e uintptr) { r.call("cuStreamSynchronize", e) },
		"cuStreamEndCapture: stream":               func(_, s, _ uintptr) { r.call("cuStreamEndCapture", s, r.to(0)) },
		"cuEventRecord: stream":                    func(_, s, _ uintptr) { r.call("cuEventRecord", s, s) },
		"cuEventElapsedTime: events":               func(_, _, e uintptr) { r.call("cuEventElapsedTime", r.to(0), e, e) },
		"cuStreamBeginCapture_v2: a capture is going": func(_, s, _ uintptr) {
			r.call("cuStreamBeginCapture_v2", s, 1)
			r.call("cuStreamBeginCapture_v2", s, 1)
		},
		"cuModuleLoadDataEx: image":          func(_, _, _ uintptr) { r.call("cuModuleLoadDataEx", r.to(0), 0, 0, 0, 0) },
		"cuModuleUnload: no module":          func(m, _, _ uintptr) { r.call("cuModuleUnload", m) },
		"cuLaunchKernel: function":           func(m, s, _ uintptr) { r.call("cuLaunchKernel", m, 1, 1, 1, 1, 1, 1, 0, s, 0, 0) },
		"cuGraphLaunch: graph":               func(m, s, _ uintptr) { r.call("cuGraphLaunch", m, s) },
		"cuGraphInstantiateWithFlags: graph": func(m, _, _ uintptr) { r.call("cuGraphInstantiateWithFlags", r.to(0), m, 0) },
		"cuCtxSetCurrent: no context":        func(m, _, _ uintptr) { r.call("cuCtxSetCurrent", m) },
		"cuCtxSynchronize: this thread has no": func(_, _, _ uintptr) {
			r.call("cuCtxSetCurrent", 0)
			r.call("cuCtxSynchronize")
		},
		"cuMemGetInfo_v2: cuInit was not called": func(_, _, _ uintptr) {
			f.Reset("")
			r.call("cuMemGetInfo_v2", r.to(0), r.to(1))
		},
	} {
		f.Reset("")
		broken(r.start())
		if got := f.Wrong(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	runtime.KeepAlive(host)
	f.Reset("")
}
