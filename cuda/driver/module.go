package driver

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unsafe"
)

// Image is a network's kernels in one form that a device may load.
type Image struct {
	Form  Form
	Major int // of the architecture it was compiled for: 8, 0 for sm_80
	Minor int
	// Specific marks code for exactly that architecture (sm_90a), which no other
	// device runs.
	Specific bool
	Data     []byte
}

// Form is what an Image holds.
type Form int

const (
	Cubin  Form = iota // machine code
	PTX                // text that the driver compiles
	Source             // CUDA C++ that NVRTC compiles, where it is installed
)

func (f Form) String() string { return [...]string{"cubin", "PTX", "source"}[f] }

// String names an image as "cubin sm_90a".
func (i Image) String() string {
	if i.Form == Source {
		return i.Form.String()
	}
	suffix := ""
	if i.Specific {
		suffix = "a"
	}
	return fmt.Sprintf("%s sm_%d%d%s", i.Form, i.Major, i.Minor, suffix)
}

// Candidates returns those of the images that a device may be able to load,
// best first: machine code for exactly it, for its major version, PTX, source.
func Candidates(images []Image, device Device) []Image {
	rank := func(i Image) int {
		exact := i.Major == device.Major && i.Minor == device.Minor
		older := i.Major < device.Major || i.Major == device.Major && i.Minor <= device.Minor
		switch {
		case i.Form == Source:
			return 6
		case i.Specific && !exact:
			return -1
		case i.Form == Cubin && exact && i.Specific:
			return 0
		case i.Form == Cubin && exact:
			return 1
		case i.Form == Cubin && i.Major == device.Major && older:
			return 2
		case i.Form == PTX && older && i.Specific:
			return 3
		case i.Form == PTX && older:
			return 4
		}
		return -1
	}
	var fit []Image
	for _, i := range images {
		if rank(i) >= 0 {
			fit = append(fit, i)
		}
	}
	sort.SliceStable(fit, func(a, b int) bool {
		if ra, rb := rank(fit[a]), rank(fit[b]); ra != rb {
			return ra < rb
		}
		return 10*fit[a].Major+fit[a].Minor > 10*fit[b].Major+fit[b].Minor
	})
	return fit
}

// Module is loaded code.
type Module struct {
	Image Image // what was loaded
	// Log is what the driver's compiler said, where it had to compile.
	Log    string
	t      *Thread
	handle uintptr
}

// Load loads the first of the images that the device takes. Where none does,
// the error tells of each.
func (t *Thread) Load(images []Image) (*Module, error) {
	var refused []error
	for _, image := range Candidates(images, t.device) {
		m, err := t.load(image)
		if err == nil {
			return m, nil
		}
		refused = append(refused, fmt.Errorf("%v: %w", image, err))
		if !next(err) {
			break
		}
	}
	if len(refused) == 0 {
		return nil, fmt.Errorf("no code for %s (sm_%d%d) among %v", t.device.Name, t.device.Major, t.device.Minor, images)
	}
	return nil, errors.Join(refused...)
}

// next reports whether another image may do where this one failed.
func next(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return true // no NVRTC, or it refused the source
	}
	switch e.Code {
	case codeInvalidImage, codeNoBinaryForGPU, codeInvalidPTX, codeJITNotFound, codeUnsupportedPTX, codeJITDisabled:
		return e.Earlier == nil
	}
	return false
}

// Options of cuModuleLoadDataEx (cuda.h, enum CUjit_option).
const (
	jitInfoLog       = 3 // CU_JIT_INFO_LOG_BUFFER
	jitInfoLogBytes  = 4 // CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES
	jitErrorLog      = 5 // CU_JIT_ERROR_LOG_BUFFER
	jitErrorLogBytes = 6 // CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES
)

func (t *Thread) load(image Image) (*Module, error) {
	data, form := image.Data, image.Form
	if form == Source {
		var err error
		if data, form, err = t.driver.compile(image.Data, t.device); err != nil {
			return nil, err
		}
	}
	if len(data) == 0 {
		return nil, errors.New("the image is empty")
	}
	if form != Cubin {
		data = append(bytes.Clone(data), 0) // text ends with a zero byte
	}
	half := len(t.log) / 2
	clear(t.log[:])
	options := []int32{jitInfoLog, jitInfoLogBytes, jitErrorLog, jitErrorLogBytes}
	values := []uintptr{uintptr(unsafe.Pointer(&t.log[0])), uintptr(half), uintptr(unsafe.Pointer(&t.log[half])), uintptr(half)}
	err := t.call(fnModuleLoadDataEx, uintptr(unsafe.Pointer(&t.words[0])), uintptr(unsafe.Pointer(&data[0])),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Detail = text(t.log[half:])
		}
		return nil, err
	}
	m := &Module{Image: image, Log: text(t.log[:half]), t: t, handle: uintptr(t.words[0])}
	t.keep(kindModule, m.handle)
	return m, nil
}

// text returns a C string without the white space around it.
func text(buffer []byte) string {
	s, _, _ := bytes.Cut(buffer, []byte{0})
	return strings.TrimSpace(string(s))
}

// Unload gives the module back; its kernels are then gone.
func (m *Module) Unload() error { return m.t.release(kindModule, m.handle) }

// Global returns the address and the size in bytes of a variable that the
// module keeps in device memory.
func (m *Module) Global(name string) (Ptr, int, error) {
	w := &m.t.words
	c := append([]byte(name), 0)
	err := m.t.callFor(name, fnModuleGetGlobal, uintptr(unsafe.Pointer(&w[0])), uintptr(unsafe.Pointer(&w[1])), m.handle, uintptr(unsafe.Pointer(&c[0])))
	if err != nil {
		return 0, 0, err
	}
	return Ptr(w[0]), int(w[1]), nil
}
