// Package host runs emitted kernels on GPUs: it holds the arena, moves batches
// through pinned memory, records a training step as one graph and replays it.
package host

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Code is a network as its emitted package describes it: kernels, the order in
// which they run, and where everything lies in the arena. Offsets and sizes
// count float32.
type Code struct {
	// Files has the kernels in its folder cuda, and compiled in a precision other
	// than engine.FP32 in a folder of that name inside, under the names that
	// driver.ReadImages knows.
	Files embed.FS

	Precision  string // of the products
	Capability [2]int // that a GPU must have at least for it

	Inputs, Outputs int
	Classes         bool // targets are class indices
	Batch           int  // rows of a pass
	Full            bool // a step is as many passes as its rows need
	InferRows       int  // rows of a pass of inference

	Total int    // size of the arena
	X     Region // the batch
	Y     Region // targets
	Step  Region // what the host says about a step: four words, then the scalars
	Feed  Region // what the host says about a launch of many steps: see feedHead
	Loss  int    // the sum of the step's losses, a float64
	Slots Region // parameters, then the optimizer's states laid out alike
	Slot  int    // size of one of these
	Raw   int    // raw outputs of inference

	Params []Region // in a slot

	Pass, Update, Infer []Launch
	// Refresh makes what the kernels need beside the parameters, once the host
	// wrote these. Scaling is where the scale of the loss's gradient lies; its size
	// is 0 where there is none.
	Refresh []Launch
	Scaling Region

	// Fused are other ways to do what Pass and Update do, the best first.
	Fused []Fused
	// Libraries are products of Pass that a library may make; nil: none.
	Libraries *Libraries

	// Fetch makes a pass's batch from rows that lie on the device, so that many steps
	// are one launch; it has no kernel where the pass finds its rows itself. Up to
	// Steps are asked for at once.
	Fetch Launch
	Steps int

	// Scalars writes what all elements of an update share, in the order in
	// which the kernels read it.
	Scalars func(h engine.Hyper, to []float32)
}

// Fused is a pass in one kernel, for devices whose blocks may have so many bytes
// of shared memory. Its arena is smaller, and it needs no Fetch.
type Fused struct {
	Shared, Total int
	Pass, Update  []Launch
}

// fitted returns the code with the first fused pass that a GPU can run, if there
// is one.
func (c *Code) fitted(gpu driver.Device) *Code {
	for _, f := range c.Fused {
		if f.Shared <= gpu.SharedPerBlockOptin {
			own := *c
			own.Pass, own.Update, own.Total, own.Libraries = f.Pass, f.Update, f.Total, nil
			own.Fetch = Launch{}
			return &own
		}
	}
	return c
}

// Region is a part of the arena, or of a slot.
type Region struct{ Offset, Size int }

// At returns a region.
func At(offset, size int) Region { return Region{offset, size} }

// Launch is one launch of a kernel.
type Launch struct {
	Kernel string
	Grid   driver.Dim
	Shared int // bytes of dynamic shared memory
}

// Run returns the launch of a kernel on x by y by z blocks.
func Run(kernel string, x, y, z int) Launch {
	return Launch{Kernel: kernel, Grid: driver.Dim{X: x, Y: y, Z: z}}
}

// With returns the launch with dynamic shared memory.
func (l Launch) With(shared int) Launch {
	l.Shared = shared
	return l
}

const (
	stepWords = 4   // before the scalars in Code.Step
	threads   = 256 // of every block
)

// Devices returns the machine's GPUs, under the names cuda:0, cuda:1, …. Where
// there is none, the list has one device that is missing, and says why. There is
// code for each precision, the first for engine.FP32.
func Devices(codes ...*Code) []engine.Device {
	d, err := driver.Open()
	if err != nil {
		return []engine.Device{{
			Name:    "cuda:0",
			Missing: func() error { return err },
			New:     func(engine.Options) (engine.Engine, error) { return nil, err },
			Memory: func(precision string) int64 {
				return memoryOf(codes, precision, driver.Device{SharedPerBlockOptin: largestBlock})
			},
		}}
	}
	var list []engine.Device
	for _, gpu := range d.Devices() {
		list = append(list, engine.Device{
			Name:    fmt.Sprintf("cuda:%d", gpu.Ordinal),
			Missing: func() error { return missing(codes[0], gpu) },
			Lacks: func(precision string) error {
				_, err := inPrecision(codes, precision, gpu)
				return err
			},
			New: func(o engine.Options) (engine.Engine, error) {
				c, err := inPrecision(codes, o.Precision, gpu)
				if err != nil {
					return nil, err
				}
				return open(c.fitted(gpu), d, gpu)
			},
			Products: func(precision string) string {
				c, err := inPrecision(codes, precision, gpu)
				if err != nil {
					return ""
				}
				return c.fitted(gpu).products(d, gpu)
			},
			Memory: func(precision string) int64 { return memoryOf(codes, precision, gpu) },
		})
	}
	return list
}

// largestBlock is the shared memory of a block of sm_90, which stands for a GPU
// that is not there.
const largestBlock = 227 << 10

// memoryOf is the size of the arena in a precision, 0 where there is no code for it.
func memoryOf(codes []*Code, precision string, gpu driver.Device) int64 {
	for _, c := range codes {
		if c.Precision == precision || c.Precision == engine.FP32 && precision == "" {
			return c.fitted(gpu).bytes()
		}
	}
	return 0
}

// inPrecision returns the code for a precision, empty for engine.FP32, or why a
// GPU cannot run it.
func inPrecision(codes []*Code, precision string, gpu driver.Device) (*Code, error) {
	if precision == "" {
		precision = engine.FP32
	}
	for _, c := range codes {
		if c.Precision == precision {
			return c, missing(c, gpu)
		}
	}
	return nil, fmt.Errorf("there are no kernels in %s", precision)
}

// missing says why a GPU cannot run the code.
func missing(c *Code, gpu driver.Device) error {
	if need := c.Capability; gpu.Major < need[0] || gpu.Major == need[0] && gpu.Minor < need[1] {
		return fmt.Errorf("%s has compute capability %d.%d, and %s needs %d.%d", gpu.Name, gpu.Major, gpu.Minor, c.Precision, need[0], need[1])
	}
	images, err := c.images()
	if err != nil {
		return err
	}
	if len(driver.Candidates(images, gpu)) == 0 {
		return fmt.Errorf("%s is an sm_%d%d, and the kernels compiled in are %v", gpu.Name, gpu.Major, gpu.Minor, images)
	}
	return nil
}

// images returns what was compiled in the precision, and the source, which is for
// all.
func (c *Code) images() ([]driver.Image, error) {
	images, err := c.read("cuda")
	if err != nil || c.Precision == engine.FP32 {
		return images, err
	}
	own, err := c.read(path.Join("cuda", c.Precision))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, i := range images {
		if i.Form == driver.Source {
			i.Data = append([]byte(engine.Define(c.Precision)), i.Data...)
			own = append(own, i)
		}
	}
	return own, err
}

func (c *Code) read(dir string) ([]driver.Image, error) {
	folder, err := fs.Sub(c.Files, dir)
	if err != nil {
		return nil, err
	}
	return driver.ReadImages(folder)
}

// bytes is the size of the arena.
func (c *Code) bytes() int64 { return 4 * int64(c.Total) }

// losses is the number of losses in the mean of rows.
func (c *Code) losses(rows int) int {
	if c.Classes {
		return rows
	}
	return rows * c.Outputs
}

// describe writes what kernels read about a pass over rows of a step of total
// rows.
func (c *Code) describe(to []float32, rows, total int, first bool) {
	to[0] = math.Float32frombits(uint32(rows))
	to[1] = 0
	if first {
		to[1] = math.Float32frombits(1)
	}
	to[2] = 1 / float32(c.losses(total))
	to[3] = 0
}
