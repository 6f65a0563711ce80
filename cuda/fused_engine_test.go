//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/fakecuda"
)

// TestFusedEngine has the emitted engine choose: where a block may have enough
// shared memory it runs the fused pass, and elsewhere the layered one, with the
// bits of each.
func TestFusedEngine(t *testing.T) {
	t.Parallel()
	p := smallFused(t).plan.Program
	pl, err := plan.With(p, plan.Options{Precision: precisionOf(t, p, "bf16")})
	if err != nil {
		t.Fatal(err)
	}
	fused, layered := pl.Use(pl.Fused[0]), *pl
	layered.Fused = nil
	need := 0 // of the layered pass
	for _, l := range layered.Launches() {
		need = max(need, l.Shared)
	}
	if need+1024 > pl.Fused[0].Shared {
		t.Fatalf("the layered pass needs %d bytes, the fused one %d: nothing tells them apart", need, pl.Fused[0].Shared)
	}
	whole := newTraining("small", pl, 1)
	binary := build(t, []*training{whole}, func(*plan.Plan, []byte) map[string][]byte {
		return map[string][]byte{"bf16/kernels.sm_80.ptx": fakePTX(pl)}
	})
	library, directory := emulator.Library(t, pl), fakecuda.Directory(t)
	q := whole.request()
	q.Precision = "bf16"
	for _, c := range []struct {
		name   string
		shared int
		plan   *plan.Plan
	}{{"fused", pl.Fused[0].Shared, fused}, {"layered", pl.Fused[0].Shared - 1, &layered}} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, binary, q, append(fakecuda.Variables(directory), "FAKECUDA_KERNELS="+library, fmt.Sprintf("FAKECUDA=shared=%d", c.shared))...)
			if r.Err != "" {
				t.Fatal(r.Err)
			}
			tr := newTraining("small", c.plan, 1)
			want, err := tr.run(emulator.Build(t, emulator.Options{}, emulator.Net{Name: "small", Plan: c.plan}).Start(t, "small"))
			if err != nil {
				t.Fatal(err)
			}
			got := &result{r.Losses, r.Slots, r.Raw}
			if !got.same(want) {
				t.Errorf("the losses are %v, want %v", got.losses, want.losses)
			}
		})
	}
}
