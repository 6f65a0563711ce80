package host

import (
	"math"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/engine"
)

// scaling is DnnScaling of dnn_step.h, as the device leaves it after a step.
type scaling struct {
	scale, bad    float32
	good, leftOut int32
}

const (
	// firstScale is what a training begins with: PyTorch's GradScaler, init_scale.
	firstScale = 1 << 16
	// leastScale is where the scale is no longer to blame for a gradient that is
	// not finite: with it, a gradient of 1 is the smallest float16 above zero.
	leastScale = 1.0 / (1 << 24)
)

// scaled is an engine whose loss's gradient is multiplied by a scale.
type scaled struct{ *gpuEngine }

// pinScaling allocates the host's copy of the scaling and sets the device's.
func (g *gpuEngine) pinScaling(t *driver.Thread) error {
	if g.Code.Scaling.Size == 0 {
		return nil
	}
	h, err := t.HostAlloc(int(unsafe.Sizeof(scaling{})))
	if err != nil {
		return err
	}
	g.scaling = unsafe.Slice((*scaling)(unsafe.Pointer(unsafe.SliceData(driver.View[float32](h)))), 1)
	g.scaling[0] = scaling{scale: firstScale}
	return g.sendScaling(t)
}

func (g *gpuEngine) scalingWords() []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&g.scaling[0])), g.Code.Scaling.Size)
}

func (g *gpuEngine) sendScaling(t *driver.Thread) error {
	return driver.CopyIn(t, g.at(g.Code.Scaling.Offset), g.scalingWords())
}

// fetchScaling asks for the scaling that a step left.
func (g *gpuEngine) fetchScaling() error {
	if g.scaling == nil {
		return nil
	}
	return driver.CopyOutAsync(g.stream, g.scalingWords(), g.at(g.Code.Scaling.Offset))
}

// counted takes those steps that were left out from the number of updates, which
// the optimizer's corrections depend on.
func (g *gpuEngine) counted(h engine.Hyper) engine.Hyper {
	if g.scaling != nil {
		h.Step -= int64(g.scaling[0].leftOut)
	}
	return h
}

// judged returns the mean loss of a step, or NaN where its gradients are not
// finite whatever the scale.
func (g *gpuEngine) judged(mean float64) float64 {
	if g.scaling != nil && g.scaling[0].scale < leastScale {
		return math.NaN()
	}
	return mean
}

// Scaling returns the scale of the loss's gradient and how it came to be.
func (g scaled) Scaling() engine.Scaling {
	s := g.scaling[0]
	return engine.Scaling{Scale: s.scale, Good: s.good, LeftOut: s.leftOut}
}

// SetScaling sets what Scaling returned.
func (g scaled) SetScaling(s engine.Scaling) {
	g.scaling[0] = scaling{scale: s.Scale, good: s.Good, leftOut: s.LeftOut}
	g.do(g.sendScaling)
}
