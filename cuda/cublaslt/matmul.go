package cublaslt

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/driver"
)

// Handle is the library made ready in a context.
type Handle struct {
	library *Library
	handle  uintptr
	own     []object // in the order in which they were made
	made    uintptr  // the library writes it; not on a stack, which may move

	workspace driver.Ptr
	bytes     int // of the workspace
}

// object is something that a Handle must give back.
type object struct {
	destroy function
	handle  uintptr
}

// New makes the library ready in the context of this thread, with a workspace of
// the device: bytes from a multiple of 256 on. All products share it, so that
// they must run in one stream. The error is an *Error.
func (l *Library) New(workspace driver.Ptr, bytes int) (*Handle, error) {
	h := &Handle{library: l, workspace: workspace, bytes: bytes}
	if err := l.call(fnCreate, uintptr(unsafe.Pointer(&h.handle))); err != nil {
		return nil, err
	}
	return h, nil
}

// Close gives all back. Products of the handle must have been made, and graphs
// that have them must not be launched any more.
func (h *Handle) Close() (err error) {
	for _, o := range slices.Backward(h.own) {
		err = errors.Join(err, h.library.call(o.destroy, o.handle))
	}
	h.own = nil
	return errors.Join(err, h.library.call(fnDestroy, h.handle))
}

// Type is what matrices are multiplied in. Sums and the product are float32.
type Type int

const (
	Float32  Type = iota
	TF32          // float32 in memory
	BFloat16      // 16 bits
	Float16
)

var types = [...]struct {
	bytes         int
	data, compute uintptr
}{
	Float32:  {4, dataFloat32, computeFloat32},
	TF32:     {4, dataFloat32, computeTF32},
	BFloat16: {2, dataBFloat16, computeFloat32},
	Float16:  {2, dataFloat16, computeFloat32},
}

// Matrix is a matrix in the device's memory, row by row.
type Matrix struct {
	At   driver.Ptr
	Lead int // elements from one row to the next
	// Turned tells that the transpose is what is multiplied.
	Turned bool
}

// Product is To = Left·Right: float32 [Rows, Cols] from [Rows, Inner] and
// [Inner, Cols]. A matrix that is Turned stands in memory the other way round.
type Product struct {
	Type              Type
	Rows, Cols, Inner int
	Left, Right, To   Matrix
}

// Matmul is a product by one of the library's algorithms.
type Matmul struct {
	h         *Handle
	algorithm *algorithm
	one       *[2]float32 // alpha and beta
	args      [16]uintptr
}

// Plan asks the library how it would make a product, and returns at most so many
// ways, the one that it thinks the fastest first. The error is an *Error, or says
// that it knows no way.
//
// The library counts in columns: what stands row by row is to it the transpose,
// so that it is asked for Rightᵀ·Leftᵀ = Toᵀ.
func (h *Handle) Plan(p Product, most int) ([]*Matmul, error) {
	t := types[p.Type]
	desc, err := h.make(fnDescCreate, fnDescDestroy, t.compute, dataFloat32)
	if err != nil {
		return nil, err
	}
	for _, side := range []struct {
		m         Matrix
		attribute uintptr
	}{{p.Right, descTransA}, {p.Left, descTransB}} {
		if !side.m.Turned {
			continue
		}
		value := int32(operationT)
		if err := h.library.call(fnDescSet, desc, side.attribute, uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value)); err != nil {
			return nil, err
		}
	}
	a, err := h.layout(t.data, p.Right, p.Inner, p.Cols)
	if err != nil {
		return nil, err
	}
	b, err := h.layout(t.data, p.Left, p.Rows, p.Inner)
	if err != nil {
		return nil, err
	}
	d, err := h.layout(dataFloat32, p.To, p.Rows, p.Cols)
	if err != nil {
		return nil, err
	}
	found, err := h.ask(p, desc, a, b, d, most)
	if err != nil {
		return nil, err
	}
	var list []*Matmul
	for _, f := range found {
		m := &Matmul{h: h, algorithm: new(algorithm), one: &[2]float32{1, 0}}
		*m.algorithm = f.algorithm
		m.args = [16]uintptr{
			h.handle, desc, uintptr(unsafe.Pointer(&m.one[0])), uintptr(p.Right.At), a, uintptr(p.Left.At), b,
			uintptr(unsafe.Pointer(&m.one[1])), uintptr(p.To.At), d, uintptr(p.To.At), d,
			uintptr(unsafe.Pointer(m.algorithm)), uintptr(h.workspace), uintptr(h.bytes),
		}
		list = append(list, m)
	}
	return list, nil
}

// ask returns what the library's heuristic finds.
func (h *Handle) ask(p Product, desc, a, b, d uintptr, most int) ([]result, error) {
	preference, err := h.make(fnPreferenceCreate, fnPreferenceDestroy)
	if err != nil {
		return nil, err
	}
	bytes := uint64(h.bytes)
	if err := h.library.call(fnPreferenceSet, preference, preferWorkspace, uintptr(unsafe.Pointer(&bytes)), unsafe.Sizeof(bytes)); err != nil {
		return nil, err
	}
	// Algorithms may count on addresses that are multiples of 256 where nothing is
	// said.
	for _, p := range []struct {
		attribute uintptr
		value     uint32
	}{
		{preferReductions, reductionByCompute},
		{preferAlignmentA, alignment(p.Right.At)}, {preferAlignmentB, alignment(p.Left.At)},
		{preferAlignmentC, alignment(p.To.At)}, {preferAlignmentD, alignment(p.To.At)},
	} {
		if err := h.library.call(fnPreferenceSet, preference, p.attribute, uintptr(unsafe.Pointer(&p.value)), unsafe.Sizeof(p.value)); err != nil {
			return nil, err
		}
	}
	found, count := make([]result, most), new(int32)
	err = h.library.call(fnHeuristic, h.handle, desc, a, b, d, d, preference, uintptr(most), uintptr(unsafe.Pointer(&found[0])), uintptr(unsafe.Pointer(count)))
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found[:min(max(int(*count), 0), most)], func(r result) bool { return r.status != 0 || r.workspace > bytes })
	if len(found) == 0 {
		return nil, fmt.Errorf("%v knows no way for a product of %d by %d by %d", h.library, p.Rows, p.Cols, p.Inner)
	}
	return found, nil
}

// alignment is what an address is a multiple of, as far as algorithms care.
func alignment(p driver.Ptr) uint32 { return uint32(min(p&-p, 256)) }

// layout describes a matrix [rows, cols].
func (h *Handle) layout(data uintptr, m Matrix, rows, cols int) (uintptr, error) {
	if m.Turned {
		rows, cols = cols, rows
	}
	return h.make(fnLayoutCreate, fnLayoutDestroy, data, uintptr(cols), uintptr(rows), uintptr(m.Lead))
}

// make makes an object that Close destroys.
func (h *Handle) make(create, destroy function, args ...uintptr) (uintptr, error) {
	h.made = 0
	if err := h.library.call(create, append([]uintptr{uintptr(unsafe.Pointer(&h.made))}, args...)...); err != nil {
		return 0, err
	}
	h.own = append(h.own, object{destroy, h.made})
	return h.made, nil
}

// Run has the stream make the product. It does not wait, and may be captured in
// a graph once it has been run without. The error is an *Error.
func (m *Matmul) Run(s *driver.Stream) error {
	m.args[15] = s.Handle()
	err := m.h.library.call(fnMatmul, m.args[:]...)
	runtime.KeepAlive(m)
	return err
}
