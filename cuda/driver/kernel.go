package driver

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Kernel is a function of a module that the device runs.
type Kernel struct {
	Name   string
	t      *Thread
	handle uintptr
}

// Kernel returns the function with a name (extern "C").
func (m *Module) Kernel(name string) (*Kernel, error) {
	c := append([]byte(name), 0)
	err := m.t.callFor(name, fnModuleGetFunction, uintptr(unsafe.Pointer(&m.t.words[0])), m.handle, uintptr(unsafe.Pointer(&c[0])))
	if err != nil {
		return nil, err
	}
	return &Kernel{Name: name, t: m.t, handle: uintptr(m.t.words[0])}, nil
}

// Numbers of cuda.h.
const (
	attributeMaxThreads  = 0   // CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
	attributeShared      = 1   // CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES
	attributeLocal       = 3   // CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES
	attributeRegisters   = 4   // CU_FUNC_ATTRIBUTE_NUM_REGS
	attributeMaxDynamic  = 8   // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
	attributeCarveout    = 9   // CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT
	carveoutMaxShared    = 100 // CU_SHAREDMEM_CARVEOUT_MAX_SHARED
	maxParameterBytes    = 4096
	maxArgumentsOfLaunch = 11
)

// Resources are what a kernel takes of a device.
type Resources struct {
	MaxThreads int // of a block, by its registers
	Shared     int // bytes, without what a launch adds
	Local      int // bytes a thread: above 0, registers are spilled
	Registers  int // a thread
}

// Resources asks the driver.
func (k *Kernel) Resources() (r Resources, err error) {
	for _, a := range []struct {
		number uintptr
		to     *int
	}{{attributeMaxThreads, &r.MaxThreads}, {attributeShared, &r.Shared}, {attributeLocal, &r.Local}, {attributeRegisters, &r.Registers}} {
		if err := k.t.callFor(k.Name, fnFuncGetAttribute, uintptr(unsafe.Pointer(&k.t.words[0])), a.number, k.handle); err != nil {
			return Resources{}, err
		}
		*a.to = k.t.int()
	}
	return r, nil
}

// int is the C int that the driver wrote.
func (t *Thread) int() int { return int(*(*int32)(unsafe.Pointer(&t.words[0]))) }

// SetMaxShared lets launches ask for up to that many bytes of dynamic shared
// memory, more than the 48 KiB that all kernels may have; the device's limit is
// Device.SharedPerBlockOptin, less the kernel's static share.
func (k *Kernel) SetMaxShared(bytes int) error {
	if err := k.t.callFor(k.Name, fnFuncSetAttribute, k.handle, attributeMaxDynamic, uintptr(bytes)); err != nil {
		return err
	}
	return k.t.callFor(k.Name, fnFuncSetAttribute, k.handle, attributeCarveout, carveoutMaxShared)
}

// BlocksPerSM returns how many blocks of that many threads and bytes of dynamic
// shared memory run on one multiprocessor at once: a grid that waits for itself
// must not have more than that times Device.SMs.
func (k *Kernel) BlocksPerSM(threads, shared int) (int, error) {
	err := k.t.callFor(k.Name, fnOccupancy, uintptr(unsafe.Pointer(&k.t.words[0])), k.handle, uintptr(threads), uintptr(shared))
	if err != nil {
		return 0, err
	}
	return k.t.int(), nil
}

// Dim is the size of a grid in blocks, or of a block in threads. 0 stands for 1.
type Dim struct{ X, Y, Z int }

// Config says how a kernel is launched.
type Config struct {
	Grid, Block Dim
	Shared      int // bytes of dynamic shared memory
	// Cooperative makes sure that all blocks run at once, so that they may wait
	// for each other.
	Cooperative bool
}

// Launch is a kernel with its arguments, ready to run any number of times. It
// must not be copied.
type Launch struct {
	kernel *Kernel
	call   function
	args   [maxArgumentsOfLaunch]uintptr
	count  int // of args
	sizes  []int
	first  []int            // index into values of each argument
	values []uint64         // the arguments, each from a new word on
	params []unsafe.Pointer // to each argument
}

// Bind makes a launch. Arguments are Ptr, int32, uint32, int64, uint64, float32,
// float64, or []byte for a struct by value, in the kernel's order; they are
// copied.
func (k *Kernel) Bind(c Config, args ...any) (*Launch, error) {
	l := &Launch{kernel: k, call: fnLaunchKernel, count: maxArgumentsOfLaunch}
	total := 0
	for i, a := range args {
		size := 8
		switch a := a.(type) {
		case int32, uint32, float32:
			size = 4
		case Ptr, int64, uint64, float64:
		case []byte:
			size = len(a)
		default:
			return nil, fmt.Errorf("kernel %s, argument %d: a %T cannot be passed", k.Name, i, a)
		}
		total += size
		l.sizes = append(l.sizes, size)
		l.first = append(l.first, len(l.values))
		l.values = append(l.values, make([]uint64, (size+7)/8)...)
		if size == 0 || total > maxParameterBytes {
			return nil, fmt.Errorf("kernel %s, argument %d: %d bytes, %d with those before, cannot be passed", k.Name, i, size, total)
		}
	}
	for i, a := range args {
		at := unsafe.Pointer(&l.values[l.first[i]])
		l.params = append(l.params, at)
		switch a := a.(type) {
		case int32:
			*(*int32)(at) = a
		case uint32:
			*(*uint32)(at) = a
		case float32:
			*(*float32)(at) = a
		case Ptr:
			*(*Ptr)(at) = a
		case int64:
			*(*int64)(at) = a
		case uint64:
			*(*uint64)(at) = a
		case float64:
			*(*float64)(at) = a
		case []byte:
			copy(unsafe.Slice((*byte)(at), len(a)), a)
		}
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	if c.Cooperative {
		l.call, l.count = fnLaunchCooperativeKernel, maxArgumentsOfLaunch-1 // it has no "extra"
	}
	l.args[0] = k.handle
	l.SetGrid(c.Grid)
	for i, n := range []int{c.Block.X, c.Block.Y, c.Block.Z} {
		l.args[4+i] = uintptr(max(n, 1))
	}
	l.args[7] = uintptr(c.Shared)
	if len(l.params) > 0 {
		l.args[9] = uintptr(unsafe.Pointer(&l.params[0]))
	}
	return l, nil
}

// check compares the arguments with what the kernel takes, where the driver
// tells (CUDA 12.4): it copies whatever lies there.
func (l *Launch) check() error {
	t := l.kernel.t
	if t.driver.address[fnFuncGetParamInfo] == 0 {
		return nil
	}
	w := &t.words
	for i := 0; ; i++ {
		err := t.callFor(l.kernel.Name, fnFuncGetParamInfo, l.kernel.handle, uintptr(i), uintptr(unsafe.Pointer(&w[0])), uintptr(unsafe.Pointer(&w[1])))
		if code(err) == codeInvalidValue { // there is no parameter i
			if i != len(l.sizes) {
				return fmt.Errorf("kernel %s takes %d arguments, not %d", l.kernel.Name, i, len(l.sizes))
			}
			return nil
		}
		if err != nil {
			return err
		}
		if i < len(l.sizes) && int(w[1]) != l.sizes[i] {
			return fmt.Errorf("kernel %s, argument %d has %d bytes, not %d", l.kernel.Name, i, w[1], l.sizes[i])
		}
	}
}

// SetGrid changes the grid of the next runs.
func (l *Launch) SetGrid(grid Dim) {
	for i, n := range []int{grid.X, grid.Y, grid.Z} {
		l.args[1+i] = uintptr(max(n, 1))
	}
}

// Set changes argument i of the next runs; the type must have the size of the
// one it was bound with. Graphs keep the arguments that they were recorded with.
func Set[T Element | Ptr](l *Launch, i int, value T) {
	if int(unsafe.Sizeof(value)) != l.sizes[i] {
		panic(fmt.Sprintf("kernel %s, argument %d has %d bytes, not %d", l.kernel.Name, i, l.sizes[i], unsafe.Sizeof(value)))
	}
	*(*T)(l.params[i]) = value
}

// Run has the stream run the kernel. It does not wait, and does not allocate.
func (l *Launch) Run(s *Stream) error {
	l.args[8] = s.handle
	err := l.kernel.t.callFor(l.kernel.Name, l.call, l.args[:l.count]...)
	runtime.KeepAlive(l)
	return err
}
