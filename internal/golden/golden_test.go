package golden

import (
	"testing"

	"github.com/dnngen/dnngen/runtime/safetensors"
)

func TestLoad(t *testing.T) {
	cases := Load(t)
	if len(cases) != 20 {
		t.Errorf("%d cases, want 20", len(cases))
	}
	for _, c := range cases {
		if err := c.CheckLosses(c.LossesFloat32); err != nil {
			t.Errorf("PyTorch's own float32 run: %v", err)
		}
		if len(c.Init) == 0 || len(c.Init) != len(c.Final) {
			t.Errorf("%s: %d parameters before, %d after", c.Name, len(c.Init), len(c.Final))
		}
	}
}

// TestChecksFail: a training that is wrong by a little does not agree.
func TestChecksFail(t *testing.T) {
	for _, c := range Load(t) {
		losses := append([]float64(nil), c.Losses...)
		losses[len(losses)-1] += 1e-3
		if c.CheckLosses(losses) == nil {
			t.Errorf("%s: a loss that is off by 1e-3 agrees", c.Name)
		}
		if c.CheckLosses(losses[1:]) == nil {
			t.Errorf("%s: too few losses agree", c.Name)
		}
		changed := false
		for i, q := range c.Final {
			if c.CheckParam(q.Name, q.Data) != nil {
				t.Errorf("%s: %s does not agree with itself", c.Name, q.Name)
			}
			changed = changed || c.CheckParam(q.Name, find(c.Init, q.Name)) != nil
			off := append([]float32(nil), q.Data...)
			off[len(off)-1] += 1e-3
			if c.CheckParam(q.Name, off) == nil || c.CheckParam(q.Name, q.Data[1:]) == nil {
				t.Errorf("%s: parameter %d agrees with anything", c.Name, i)
			}
		}
		if !changed {
			t.Errorf("%s: the training changed no parameter", c.Name)
		}
		if c.CheckParam("no such parameter", nil) == nil {
			t.Errorf("%s: a parameter that is not there agrees", c.Name)
		}
	}
}

func find(list []safetensors.Tensor, name string) []float32 {
	for _, q := range list {
		if q.Name == name {
			return q.Data
		}
	}
	return nil
}
