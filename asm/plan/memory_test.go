package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// TestMemory: what an engine of two workers reserves is at most 1.3 times what a
// training cannot do without, where the parameters are most of it: parameters and
// the optimizer's states, what each layer gives on a batch, and the batch. Where
// the batch is most of it, its gradients may take half as much again. Panels of
// 16 columns are allowed for, in networks of a few units.
func TestMemory(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.Root(t), "bench", "workloads", "w?.yaml"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%d workloads, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		net, _, err := spec.Parse(filepath.Base(file), text, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		pl, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		const workers = 2
		slots := 1 + len(p.Rule.States)
		arena := slots*pl.ParamSize + ScalarSize(pl.Rule)
		if pl.Tiled {
			arena += pl.Shards*pl.GradSize + pl.SlabSize + workers*pl.TensorSize
		} else {
			arena += pl.GradSize + pl.TensorSize + workers*pl.SlabSize
		}
		needed := 0
		for _, q := range p.Params {
			needed += slots * q.Size()
		}
		values := p.Input
		for _, b := range p.Buffers {
			if b.Role != ir.Gradient {
				values += b.Width
			}
		}
		needed += p.Batch * values
		gaps := 0
		for _, t := range pl.Tensors {
			gaps += t.Gap
		}
		if gaps > 1<<20 {
			t.Errorf("%s leaves %d bytes free between tensors", p.Name, 4*gaps)
		}
		arena -= gaps
		const padding = 64 << 10 / 4
		t.Logf("%s: %d bytes reserved, %d needed: %.2f", p.Name, 4*arena, 4*needed, float64(arena)/float64(needed))
		bound := 1.3
		if p.Batch*values > needed/4 {
			bound = 1.5
		}
		if float64(arena) > bound*float64(needed)+padding {
			t.Errorf("%s reserves %d bytes for %d", p.Name, 4*arena, 4*needed)
		}
	}
}
