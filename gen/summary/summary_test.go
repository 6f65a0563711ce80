package summary_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/gen/summary"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// The products of a network that is counted by hand.
func TestCountsProducts(t *testing.T) {
	const rows, in, out = 8, 5, 3
	net := nettest.New("net", in).Linear(out, false).Batch(rows).Network()
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	s := summary.Of(p)
	// Forward and the weight's gradient, no gradient of the input; and two
	// operations, a product and a difference, to update each weight.
	want := int64(2*rows*in*out + 2*rows*in*out + 2*in*out)
	if net.Train.Optimizer != op.Optimizers[0] || s.Layers[0].FLOPs != want {
		t.Errorf("%d operations, want %d", s.Layers[0].FLOPs, want)
	}
	if s.InferFLOPs != 2*in*out {
		t.Errorf("%d operations a row, want %d", s.InferFLOPs, 2*in*out)
	}
	if s.Parameters != in*out || s.ParamBytes != 4*in*out {
		t.Errorf("%d parameters, %d bytes", s.Parameters, s.ParamBytes)
	}
}

func TestOneParameter(t *testing.T) {
	for out, want := range map[int]string{1: ", 1 parameter, ", 2: ", 2 parameters, "} {
		p, err := lower.Lower(nettest.New("net", 1).Linear(out, false).Batch(8).Network())
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := summary.Of(p).Print(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// On random networks the rows add up to the totals, and every layer says what
// became of it.
func TestRandomNetworks(t *testing.T) {
	for seed := range uint64(200) {
		net := nettest.Random(seed, nettest.Small)
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		s := summary.Of(p)
		var flops, bytes int64
		params, kernels := 0, len(s.Loss.Kernels)
		for i, l := range s.Layers {
			flops += l.FLOPs
			bytes += l.Bytes
			params += l.Parameters
			kernels += len(l.Kernels)
			if l.In != net.Layers[i].In || l.Out != net.Layers[i].Out {
				t.Errorf("seed %d: layer %d is %d to %d", seed, i, l.In, l.Out)
			}
			if net.Layers[i].Activation == nil && (l.FLOPs == 0 || len(l.Kernels) == 0) {
				t.Errorf("seed %d: layer %d costs nothing", seed, i)
			}
		}
		want := 0
		for _, q := range p.Params {
			want += q.Size()
		}
		if params != want || s.Parameters != want {
			t.Errorf("seed %d: %d and %d parameters, want %d", seed, params, s.Parameters, want)
		}
		if s.StepFLOPs != flops+s.Loss.FLOPs {
			t.Errorf("seed %d: %d operations, but the rows have %d", seed, s.StepFLOPs, flops+s.Loss.FLOPs)
		}
		if all := bytes + s.Loss.Bytes; all != s.ParamBytes+s.StateBytes+s.UnsharedBytes {
			t.Errorf("seed %d: the rows have %d bytes, want %d", seed, all, s.ParamBytes+s.StateBytes+s.UnsharedBytes)
		}
		if s.BufferBytes > s.UnsharedBytes {
			t.Errorf("seed %d: buffers that share take more", seed)
		}
		if steps := len(p.Forward) + len(p.Backward) + len(p.Updates); kernels < steps {
			t.Errorf("seed %d: %d kernels for %d steps", seed, kernels, steps)
		}
		var text strings.Builder
		if err := s.Print(&text); err != nil || !strings.Contains(text.String(), net.Name) {
			t.Errorf("seed %d: %v\n%s", seed, err, &text)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	}
}
