package plan

import (
	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/vec"
)

// Inference is the way from rows to raw outputs, without a training's buffers.
type Inference struct {
	Name    string // begins the names of its steps
	Rows    int    // that the buffers hold; more are taken in turns
	Splits  map[vec.ISA]kernel.Split
	Tensors []*Tensor // X first
	Raw     *Tensor
	Pack    *kernel.Block // nil where X is flat
	Steps   []Step
	Unpack  *kernel.Block // nil where the raw outputs are dense
	Size    int           // of the buffers, in float32
}

// Held returns the tensors that take memory.
func (i *Inference) Held() []*Tensor {
	if i.Tensors[0].Size() == 0 {
		return i.Tensors[1:]
	}
	return i.Tensors
}

// inferRows is the number of rows that inference walks at a time.
func (b *builder) inferRows() int {
	if b.Rows < inferLeast || b.Rows > inferMost {
		return inferLeast
	}
	return b.Rows
}

// inferSums returns where an inference keeps the sums of a group of panels from
// one block of the depth to the next, in all of its products.
func (b *builder) inferSums() *Tensor {
	const name = "sums"
	for _, t := range b.infer.Tensors {
		if t.Name == name {
			return t
		}
	}
	return b.extra(name, Layout{Width: lanes(groupPanels(b.infer.Rows))})
}

// inference plans inference. Its buffers are its own, X among them, which
// stands for another tensor in training.
func (b *builder) inference(name string, rows int) *Inference {
	i := &Inference{Name: name, Rows: rows, Splits: splits(rows)}
	b.infer = i
	p := b.Program
	b.place(p.X)
	if b.flat && rows == 1 {
		i.Tensors[0].Rows, i.Size = 0, 0 // never copied: there are no shorter batches
	}
	for _, v := range p.InferBuffers {
		b.place(v)
	}
	i.Raw = b.tensors[p.InferRaw]
	if !b.flat {
		i.Pack = share(b, &kernel.Block{Name: name + "Pack", Width: p.Input, Rows: rows})
	}
	if !i.Raw.Layout.Dense {
		i.Unpack = share(b, &kernel.Block{Name: name + "Unpack", Width: p.Output, Rows: rows, Back: true})
	}
	i.Steps = b.steps(p.Infer, name, rows)
	b.infer = nil
	return i
}
