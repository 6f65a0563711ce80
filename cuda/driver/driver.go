package driver

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
)

// libraryName is the driver's library under the name that every Linux
// installation of it has.
const libraryName = "libcuda.so.1"

// Driver is the CUDA driver of this machine. Many goroutines may use it.
type Driver struct {
	address [functions]uintptr
	version int
	devices []Device
	rtc     func() (*rtc, error)
}

// Device describes a GPU. How much of its memory is free only a context can
// tell: see Thread.MemInfo.
type Device struct {
	Ordinal             int // its number in this process, after CUDA_VISIBLE_DEVICES
	Name                string
	Major, Minor        int    // compute capability: 9, 0
	TotalMem            uint64 // bytes
	SMs                 int    // streaming multiprocessors
	SharedPerBlock      int    // bytes of shared memory that any kernel may use
	SharedPerBlockOptin int    // bytes after Kernel.SetMaxShared
	SharedPerSM         int    // bytes
	RegistersPerSM      int
	ThreadsPerSM        int
	WarpSize            int
	ClockKHz            int
	MemoryClockKHz      int
	MemoryBusBits       int
	L2Bytes             int
	Cooperative         bool // has cooperative launches
}

// attributes are what Devices asks for, by CUdevice_attribute.
var attributes = []struct {
	number int
	set    func(*Device, int)
}{
	{75, func(d *Device, v int) { d.Major = v }},               // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	{76, func(d *Device, v int) { d.Minor = v }},               // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
	{16, func(d *Device, v int) { d.SMs = v }},                 // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
	{8, func(d *Device, v int) { d.SharedPerBlock = v }},       // CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK
	{97, func(d *Device, v int) { d.SharedPerBlockOptin = v }}, // CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
	{81, func(d *Device, v int) { d.SharedPerSM = v }},         // CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
	{82, func(d *Device, v int) { d.RegistersPerSM = v }},      // CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR
	{39, func(d *Device, v int) { d.ThreadsPerSM = v }},        // CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR
	{10, func(d *Device, v int) { d.WarpSize = v }},            // CU_DEVICE_ATTRIBUTE_WARP_SIZE
	{13, func(d *Device, v int) { d.ClockKHz = v }},            // CU_DEVICE_ATTRIBUTE_CLOCK_RATE
	{36, func(d *Device, v int) { d.MemoryClockKHz = v }},      // CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE
	{37, func(d *Device, v int) { d.MemoryBusBits = v }},       // CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH
	{38, func(d *Device, v int) { d.L2Bytes = v }},             // CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
	{95, func(d *Device, v int) { d.Cooperative = v != 0 }},    // CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH
}

var opened = sync.OnceValues(func() (*Driver, error) { return open(libraryName) })

// Open returns the machine's driver, with at least one device. It asks once
// and remembers the answer. The error is a *Missing.
func Open() (*Driver, error) { return opened() }

func open(library string) (*Driver, error) {
	if !dynamic.BuiltIn {
		return nil, &Missing{NotBuiltIn, "this program was built without CUDA"}
	}
	handle, err := dynamic.Open(library)
	if err != nil {
		why := err.Error()
		// So glibc tells that there is no such file; all else is told as it is.
		if name, none := strings.CutSuffix(why, ": cannot open shared object file: No such file or directory"); none {
			why = "no " + name
		}
		return nil, &Missing{NoLibrary, "there is no CUDA driver: " + why}
	}
	d := &Driver{}
	d.rtc = sync.OnceValues(func() (*rtc, error) { return openRTC(rtcLibraries(), d.version) })
	for f := range functions {
		d.address[f] = dynamic.Symbol(handle, symbols[f].Name())
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	return d, nil
}

// start initialises the driver and lists its devices.
func (d *Driver) start() error {
	// The version needs no initialised driver, and says more than a symbol that
	// is not there.
	version := new(int32)
	if err := d.do(fnDriverGetVersion, uintptr(unsafe.Pointer(version))); err != nil {
		return &Missing{Broken, err.Error()}
	}
	d.version = int(*version)
	for f := range required {
		if d.version < needs || d.address[f] == 0 {
			return &Missing{TooOld, fmt.Sprintf("the CUDA driver is too old: it supports CUDA %s, needed is %s or newer", versionText(d.version), versionText(needs))}
		}
	}
	if err := d.do(fnInit, 0); err != nil {
		if err.Code == codeNoDevice {
			return &Missing{NoDevice, "the CUDA driver finds no GPU"}
		}
		return &Missing{Broken, err.Error()}
	}
	count := new(int32)
	if err := d.do(fnDeviceGetCount, uintptr(unsafe.Pointer(count))); err != nil {
		return &Missing{Broken, err.Error()}
	}
	for i := range int(*count) {
		device, err := d.describe(i)
		if err != nil {
			return &Missing{Broken, err.Error()}
		}
		d.devices = append(d.devices, device)
	}
	if len(d.devices) == 0 {
		return &Missing{NoDevice, "the CUDA driver finds no GPU"}
	}
	return nil
}

// handle returns the driver's number for a device.
func (d *Driver) handle(ordinal int) (uintptr, *Error) {
	handle := new(int32)
	if err := d.do(fnDeviceGet, uintptr(unsafe.Pointer(handle)), uintptr(ordinal)); err != nil {
		return 0, err
	}
	return uintptr(*handle), nil
}

func (d *Driver) describe(ordinal int) (Device, *Error) {
	device := Device{Ordinal: ordinal}
	handle, err := d.handle(ordinal)
	if err != nil {
		return device, err
	}
	name := make([]byte, 256)
	if err := d.do(fnDeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), handle); err != nil {
		return device, err
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	device.Name = string(name)
	if err := d.do(fnDeviceTotalMem, uintptr(unsafe.Pointer(&device.TotalMem)), handle); err != nil {
		return device, err
	}
	value := new(int32)
	for _, a := range attributes {
		if err := d.do(fnDeviceGetAttribute, uintptr(unsafe.Pointer(value)), uintptr(a.number), handle); err != nil {
			return device, err
		}
		a.set(&device, int(*value))
	}
	return device, nil
}

// Devices lists the GPUs that this process may use, at least one.
func (d *Driver) Devices() []Device { return append([]Device(nil), d.devices...) }

// Version is the newest CUDA that the driver supports, 1000·major + 10·minor.
func (d *Driver) Version() int { return d.version }

func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// do calls a function of the driver; nil means that it succeeded.
//
//go:uintptrescapes
func (d *Driver) do(f function, args ...uintptr) *Error {
	if d.address[f] == 0 {
		return &Error{Call: symbols[f].Name(), Code: codeMissingFromLibrary, Text: "the driver does not have this function"}
	}
	if code := symbols[f].Call(d.address[f], args...); code != 0 {
		return d.explain(f, code)
	}
	return nil
}

// explain makes an error of a code, in the driver's own words.
func (d *Driver) explain(f function, code int) *Error {
	return &Error{Call: symbols[f].Name(), Code: code, Name: d.text(fnGetErrorName, code), Text: d.text(fnGetErrorString, code)}
}

func (d *Driver) text(f function, code int) string {
	var text struct{ c *byte }
	if d.address[f] == 0 || symbols[f].Call(d.address[f], uintptr(code), uintptr(unsafe.Pointer(&text))) != 0 || text.c == nil {
		return ""
	}
	n := 0
	for n < 1024 && *(*byte)(unsafe.Add(unsafe.Pointer(text.c), n)) != 0 {
		n++
	}
	s := string(unsafe.Slice(text.c, n))
	runtime.KeepAlive(text)
	return s
}
