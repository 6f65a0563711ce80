package compare

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
)

// GPUPeers are the ways in which PyTorch makes a step on a GPU, with the heads of their
// columns in a table and what bench/peers/torch_peer.py calls them.
var GPUPeers = []struct{ Name, Title, Mode string }{
	{TorchEager, "PyTorch eager", "eager"},
	{TorchCompile, "torch.compile", "compile"},
	{TorchGraph, "CUDA graph", "cudagraph"},
	{TorchCompiledGraph, "compiled, CUDA graph", "compiled-cudagraph"},
}

// GPUReport is the outcome of RunGPU.
type GPUReport struct {
	PeerReport
	Precision string `json:"precision"`
	// Notes are what the trainer said of its GPU: by what it makes products.
	Notes string `json:"notes,omitempty"`
}

// Own returns the trainer's result on the GPU; nil where it was not timed.
func (r *GPUReport) Own() *bench.Result {
	return r.find(func(name string) bool { return onGPU(strings.TrimPrefix(name, ownName)) })
}

// Of returns the result of a contender; nil where there is none.
func (r *GPUReport) Of(name string) *bench.Result {
	return r.find(func(n string) bool { return n == name })
}

func (r *GPUReport) find(is func(name string) bool) *bench.Result {
	i := slices.IndexFunc(r.Results, func(x bench.Result) bool { return is(x.Name) })
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// RunGPU compares the trainer on the first GPU, in one precision, with peers that
// compute there in the same. The losses of the CPU's fastest device with all
// threads are what the others are held against, within 16 units of roundoff of the
// precision.
func RunGPU(ctx context.Context, j Job, precision *op.Precision, peers []Peer) (*GPUReport, error) {
	own, err := startTrainer(ctx, j.DataDir, []string{j.Trainer, "bench", "--drive", "--data", "random", "--precision", precision.Name}, nil)
	if err != nil {
		return nil, err
	}
	defer own.stop()
	about, err := own.Describe()
	if err != nil {
		return nil, own.explain(err)
	}
	if !onGPU(about.Here[0]) {
		return nil, errors.New(strings.Join(slices.DeleteFunc(about.Missing, func(why string) bool { return !onGPU(why) }), "; "))
	}
	if err := export(own, j.Temp, j.Net); err != nil {
		return nil, err
	}
	out := &GPUReport{Precision: precision.Name}
	out.Versions = map[string]string{}
	cpu := about.Here[slices.IndexFunc(about.Here, func(name string) bool { return !onGPU(name) })]
	entries := []bench.Entry{
		{Name: ownName + cpu, Threads: runtime.GOMAXPROCS(0), Units: device.Units(cpu)},
		{Name: ownName + about.Here[0], Threads: 1, Whole: true, Elsewhere: true, Roundoff: precision.Roundoff()},
	}
	for i, name := range []string{cpu, about.Here[0]} {
		if entries[i].Contender, err = own.Open(name, entries[i].Threads); err != nil {
			return nil, own.explain(err)
		}
	}
	invited, stop, err := out.invite(ctx, j, peers, max(sumRoundoff, precision.Roundoff()))
	defer stop()
	if err != nil {
		return nil, err
	}
	measured, err := bench.Measure(ctx, append(entries, invited...), bench.Options{
		Seconds: j.Seconds, Steps: j.Steps, Check: checkedSteps, Batch: about.Batch, FLOPs: about.FLOPs, Round: j.Round,
	})
	if err != nil {
		return nil, err
	}
	out.Report = Report{Network: j.Net.Name, Source: j.Net.File, Data: about.Data, Machine: bench.ThisMachine(), Report: measured}
	if err := own.stop(); err != nil {
		return nil, own.explain(err)
	}
	out.Notes = strings.TrimSpace(own.stderr.String())
	return out, nil
}
