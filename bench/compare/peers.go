package compare

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/spec"
)

// Names of the peers, by which results are found again.
const (
	TorchEager   = "PyTorch eager"
	TorchCompile = "PyTorch torch.compile"
	TorchGraph   = "PyTorch CUDA graph" // on a GPU
	// TorchCompiledGraph is a captured step, too, whose forward pass and loss are compiled.
	TorchCompiledGraph = "PyTorch torch.compile in a CUDA graph"
	JAX                = "JAX jit"
	Sklearn            = "scikit-learn MLP"
	GoMLX              = "GoMLX, pure Go"
	Gorgonia           = "Gorgonia"
)

// Peer is another program that trains the same network. It is started with the
// directory of the exported problem as its last argument, and answers the same
// requests as a trainer.
type Peer struct {
	Name    string
	Threads int
	Command []string
	Env     []string
	// Elsewhere tells that it does not compute on the machine's cores.
	Elsewhere bool
	Absent    error // why it cannot be started; nil where it can
}

// sumRoundoff allows for peers that add up the losses of many rows one after the
// other in float32: their losses may be 1e-4 apart.
const sumRoundoff = 1e-4 / 16

// ownName stands before the device in the name of an entry of the trainer.
const ownName = "dnngen "

// OnCPU tells that a result of RunPeers was computed by the machine's own cores.
func OnCPU(name string) bool {
	return name != TorchGraph && name != TorchCompiledGraph && !onGPU(strings.TrimPrefix(name, ownName))
}

// Absence tells why a peer did not take part.
type Absence struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// PeerReport is the outcome of RunPeers.
type PeerReport struct {
	Report
	Absent   []Absence         `json:"absent,omitempty"`
	Versions map[string]string `json:"versions"` // of the peers
}

// leaveOut notes a peer that cannot take part, once for all numbers of threads.
func (r *PeerReport) leaveOut(p Peer, why error) {
	if a := (Absence{p.Name, why.Error()}); !slices.Contains(r.Absent, a) {
		r.Absent = append(r.Absent, a)
	}
}

// RunPeers compares the trainer on its fastest CPU device, and on a GPU where one
// is here, with the interpreter and with peers. The first result is that of the
// CPU device with one thread. A peer that cannot train the network is left out
// and named; one whose losses differ is an error.
func RunPeers(ctx context.Context, j Job, peers []Peer) (*PeerReport, error) {
	own, err := startTrainer(ctx, j.DataDir, []string{j.Trainer, "bench", "--drive"}, nil)
	if err != nil {
		return nil, err
	}
	defer own.stop()
	about, err := own.Describe()
	if err != nil {
		return nil, own.explain(err)
	}
	if err := export(own, j.Temp, j.Net); err != nil {
		return nil, err
	}
	out := &PeerReport{Versions: map[string]string{}}
	entries, err := ownEntries(own, j.Net, about.Here, peers)
	if err != nil {
		return nil, err
	}
	problem, err := readProblem(j.Temp, j.Net)
	if err != nil {
		return nil, err
	}
	c := &contenders{net: j.Net, problem: problem}
	defer c.close()
	entries = append(entries, c.interpreted(1))
	invited, stop, err := out.invite(ctx, j, peers, sumRoundoff)
	defer stop()
	if err != nil {
		return nil, err
	}
	entries = append(entries, invited...)
	most := 1
	for _, e := range entries {
		most = max(most, e.Threads)
	}
	rows := j.Net.Train.Batch
	if rows == 0 {
		rows = about.Batch
	}
	measured, err := bench.Measure(ctx, entries, bench.Options{
		Seconds: j.Seconds, Steps: j.Steps, Check: checkedSteps, Batch: rows, FLOPs: about.FLOPs, Peak: bench.NewMeter(most).Measure, Round: j.Round,
	})
	if err != nil {
		return nil, err
	}
	out.Report = Report{Network: j.Net.Name, Source: j.Net.File, Data: about.Data, Machine: bench.ThisMachine(), Report: measured}
	return out, nil
}

// invite starts the peers, and makes entries of those that can train the network;
// the others are noted. roundoff allows for what a peer rounds. The programs run
// until stop is called, which is never nil.
func (r *PeerReport) invite(ctx context.Context, j Job, peers []Peer, roundoff float64) (entries []bench.Entry, stop func(), err error) {
	var started []*trainer
	stop = func() {
		for _, t := range started {
			_ = t.stop() // it has answered all that it was asked
		}
	}
	for _, p := range peers {
		if p.Absent != nil {
			r.leaveOut(p, p.Absent)
			continue
		}
		remote, err := startTrainer(ctx, j.DataDir, append(slices.Clone(p.Command), j.Temp), p.Env)
		if err != nil {
			r.leaveOut(p, err)
			continue
		}
		started = append(started, remote)
		peer, version, err := remote.take(p)
		if err != nil {
			if ctx.Err() != nil {
				return nil, stop, context.Cause(ctx)
			}
			r.leaveOut(p, err)
			continue
		}
		r.Versions[p.Name] = version
		entries = append(entries, bench.Entry{Name: p.Name, Threads: p.Threads, Whole: true, Elsewhere: p.Elsewhere, Roundoff: roundoff, Contender: peer})
	}
	return entries, stop, nil
}

// ownEntries opens the best of the CPU's devices with each number of threads that
// a peer has, and a GPU. Devices are listed best first, GPUs before all others.
func ownEntries(t *trainer, net *spec.Network, devices []string, peers []Peer) (entries []bench.Entry, err error) {
	cpu := slices.IndexFunc(devices, func(name string) bool { return !onGPU(name) })
	counts := []int{1}
	for _, p := range peers {
		if !slices.Contains(counts, p.Threads) {
			counts = append(counts, p.Threads)
		}
	}
	for _, threads := range counts {
		c, err := t.Open(devices[cpu], threads)
		if err != nil {
			return nil, err
		}
		entries = append(entries, bench.Entry{Name: ownName + devices[cpu], Threads: threads, Units: device.Units(devices[cpu]), Contender: c})
	}
	if cpu > 0 {
		c, err := t.Open(devices[0], 1)
		if err != nil {
			return nil, err
		}
		entries = append(entries, bench.Entry{
			Name: ownName + devices[0], Threads: 1, Elsewhere: true, Roundoff: net.Train.Precision.Roundoff(), Contender: c,
		})
	}
	return entries, nil
}

// take asks a peer whether it can train the network, and lets it make a step:
// what it compiles then is not timed.
func (t *trainer) take(p Peer) (bench.Contender, string, error) {
	about, err := t.Describe()
	if err != nil {
		return nil, "", t.explain(err)
	}
	c, err := t.Open(p.Name, p.Threads)
	if err != nil {
		return nil, "", err
	}
	if _, err := c.Losses(1, about.Batch); err != nil {
		return nil, "", t.explain(err)
	}
	return c, about.Network, nil
}

// Table prints a report for a person.
func (r *PeerReport) Table(w io.Writer) {
	r.Heading(w, r.Machine, r.Source, r.Data)
	r.Report.Report.Table(w)
	for _, a := range r.Absent {
		fmt.Fprintf(w, "left out: %s: %s\n", a.Name, a.Why)
	}
}
