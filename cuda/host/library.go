package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dnngen/dnngen/cuda/cublaslt"
	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/engine"
)

// LibraryVariable is the environment variable that turns cuBLASLt off.
const LibraryVariable = "DNNGEN_CUBLASLT"

// Libraries are the products of a pass that a library may make.
type Libraries struct {
	Roundoff float64 // unit roundoff of an operand
	Scratch  Region  // behind the arena: elements of a product, before anything is done to them
	Products []Library
}

// Library is a product that a library may make: Before, the product and After
// then take the place of Code.Pass[Launch].
type Library struct {
	Launch            int
	Rows, Cols, Inner int
	// Left [Rows, Inner] and Right [Inner, Cols] are multiplied to the float32
	// matrix To.
	Left, Right, To Matrix
	Before, After   []Launch
	// Reads are what the product and After read beside the parameters, Writes by
	// what two ways of making it are compared.
	Reads, Writes []Values
}

// Matrix is a matrix in the arena: rows at the distance of Lead elements.
type Matrix struct {
	Offset, Lead int
	Turned       bool // its transpose is what is multiplied
}

// Values are rows of numbers in the arena. Parts follow each other, and their sum
// counts.
type Values struct {
	Offset           int
	Rows, Cols, Lead int
	Operand          bool // in the precision, and not float32
	Parts            int
}

// workspace is the memory that the library may use in a product, what NVIDIA
// advises for sm_90, and libraryRoom what it takes for itself.
const (
	workspace   = 32 << 20
	libraryRoom = 128 << 20
)

// libraryTypes are the precisions as the library knows them.
var libraryTypes = map[string]cublaslt.Type{
	engine.FP32: cublaslt.Float32, "tf32": cublaslt.TF32, "bf16": cublaslt.BFloat16, "fp16": cublaslt.Float16,
}

// errOff says that the library is not wanted.
var errOff = errors.New(LibraryVariable + " is off")

// found returns the machine's library, or why there is none to use. Both are nil
// where there is no product for one.
func (c *Code) found(d *driver.Driver) (*cublaslt.Library, error) {
	if c.Libraries == nil {
		return nil, nil
	}
	switch v := os.Getenv(LibraryVariable); v {
	case "":
	case "off":
		return nil, errOff
	default:
		return nil, fmt.Errorf("%s is %q, and may be off or nothing", LibraryVariable, v)
	}
	return cublaslt.Open(d.Version())
}

// library returns the library to be tried and the bytes that it needs behind the
// arena; nil where there is none, or no room for it.
func (g *gpuEngine) library(t *driver.Thread, free uint64) (*cublaslt.Library, int) {
	lib, err := g.found(t.Driver())
	if lib == nil {
		var missing *cublaslt.Missing
		if err != nil && err != errOff && !errors.As(err, &missing) {
			g.note("%v", err)
		}
		return nil, 0
	}
	extra := 4*g.Libraries.Scratch.Size + workspace
	if need := uint64(g.bytes()) + uint64(extra) + room + libraryRoom; need > free {
		g.note("%v is not tried: with it the network needs %.1f MiB of the GPU's memory, and %.1f MiB are free", lib, mib(need), mib(free))
		return nil, 0
	}
	return lib, extra
}

func (g *gpuEngine) note(format string, args ...any) {
	g.notes = append(g.notes, fmt.Sprintf(format, args...))
}

// giveUp goes on without the library, where the device still works.
func (g *gpuEngine) giveUp(t *driver.Thread, lib *cublaslt.Library, why error) error {
	if err := t.Synchronize(); err != nil {
		return errors.Join(why, err)
	}
	g.notes = nil
	g.note("%v is not used, all products are made by our own kernels: %v", lib, why)
	if g.blas != nil {
		// It is of no use any more; what it keeps goes with the context.
		_ = g.blas.Close()
		g.blas = nil
	}
	return nil
}

// products says by what products are made, for info.
func (c *Code) products(d *driver.Driver, gpu driver.Device) string {
	lib, err := c.found(d)
	switch {
	case err != nil:
		return fmt.Sprintf("products by our own kernels: %v", err)
	case lib == nil:
		return ""
	}
	images, err := c.images()
	if err != nil {
		return ""
	}
	ways, ok := recall(c.about(d, gpu, lib, images))
	if !ok {
		return fmt.Sprintf("products by our own kernels or %v, which a training finds out when it first starts", lib)
	}
	return c.told(lib, ways)
}

// told says which products are made by the library.
func (c *Code) told(lib *cublaslt.Library, ways map[string]string) string {
	var names []string
	for _, p := range c.Libraries.Products {
		if name := c.Pass[p.Launch].Kernel; ways[name] != "" && ways[name] != ownWay {
			names = append(names, name)
		}
	}
	all := len(c.Libraries.Products)
	if len(names) == 0 {
		return fmt.Sprintf("products by our own kernels: of %d that %v could make, none is faster by it", all, lib)
	}
	return fmt.Sprintf("products by %v: %s, of %d that were tried; the others by our own kernels", lib, strings.Join(names, ", "), all)
}
