package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/bars"
	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
)

// table gathers Markdown.
type table struct{ strings.Builder }

func (t *table) f(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *table) row(cells ...string) { t.f("| %s |", strings.Join(cells, " | ")) }

// head writes the names of columns: text first, then numbers.
func (t *table) head(names ...string) {
	t.row(names...)
	t.f("|---|%s", strings.Repeat("---:|", len(names)-1))
}

func (t *table) from(s lab.Stamp) {
	t.f("\n%s, %d threads, %s %s/%s, %s. Again: `%s`\n", s.Machine.CPU, s.Machine.Threads, s.Machine.Go, s.Machine.OS, s.Machine.Arch, s.Date, s.Command)
}

// step writes a time of a step, "-" where there is none.
func step(r *bench.Result) string {
	if r == nil {
		return "-"
	}
	return bench.Duration(r.Step.Median)
}

func times(slow, fast *bench.Result) string {
	if slow == nil || fast == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f×", slow.Step.Median/fast.Step.Median)
}

// peersOf returns the report of the peers for a network.
func (r *results) peersOf(network string) *compare.PeerReport {
	for _, p := range r.Peers.Reports {
		if p.Network == network {
			return p
		}
	}
	return nil
}

// shapes writes each network as its widths, activations other than ReLU, and
// batch.
var shapes = map[string]string{
	"digits": "64-256-128-10, batch 32", "w1": "2-16-16-1, tanh, batch 32", "w2": "64-256-256-1, batch 256",
	"w3": "784-512-512-10, batch 128", "w4": "784-128-10, batch 64", "w5": "1024-4096-4096-1000, batch 512",
	"w6": "64 × 7-16, batch 16384", "w7": "256-2048-256-2048-10, swiglu, batch 256", "w8": "32-64-64-1, batch 1",
}

// summary is the README's part. Every time in a row is of one run.
func (r *results) summary() string {
	t := &table{}
	t.f("Time of one training step, by one thread but where a row says otherwise, medians of")
	t.f("alternating rounds in one run:\n")
	t.head("network", "interpreted autograd in Go", compare.TorchEager, "torch.compile", compare.JAX, "dnngen", "beside the nearest")
	var on []string // dnngen's devices
	for _, p := range r.Peers.Reports {
		first := p.Results[0].Name
		if d := strings.TrimPrefix(first, "dnngen "); !slices.Contains(on, d) {
			on = append(on, d)
		}
		cells, threads := []string{shapes[p.Network]}, 1
		if all := most(p.Results); find(p.Results, first, 1) == nil && find(p.Results, first, all) != nil {
			threads = all
			cells[0] += fmt.Sprintf("; %d threads", all)
		}
		own := find(p.Results, first, threads)
		for _, name := range []string{compare.Interpreted, compare.TorchEager, compare.TorchCompile, compare.JAX} {
			cells = append(cells, step(find(p.Results, name, threads)))
		}
		t.row(append(cells, "**"+step(own)+"**", times(nearest(p, threads), own))...)
	}
	s := r.Peers.Stamp
	t.f("\n%s, dnngen on %s, %s. `make peers` measures it again, in some minutes;", s.Machine.CPU, strings.Join(on, " and "), s.Date)
	t.f("`dnngen bench SPEC` does without the libraries. (\"-\": a step takes too long for a round. Where")
	t.f("dnngen's by one thread does, the row is of all threads.) All tables,")
	t.f("shares of the machine's peak, two threads, versions and what is not comparable:")
	t.f("[bench/README.md](bench/README.md).\n")
	t.f("![samples per second](docs/img/bench.svg)")
	return t.String()
}

// nearest returns the fastest result with so many threads of the CPU that is not
// dnngen's, which is the first.
func nearest(p *compare.PeerReport, threads int) *bench.Result {
	var best *bench.Result
	for i := range p.Results {
		x := &p.Results[i]
		if x.Threads == threads && x.Name != p.Results[0].Name && compare.OnCPU(x.Name) && (best == nil || x.Step.Median < best.Step.Median) {
			best = x
		}
	}
	return best
}

// bestOf returns the fastest result with one thread; nil where none was timed.
func bestOf(list []bench.Result) (best *bench.Result) {
	for i, r := range list {
		if r.Threads == 1 && (best == nil || r.Step.Median < best.Step.Median) {
			best = &list[i]
		}
	}
	return best
}

// everything is the part of bench/README.md.
func (r *results) everything() string {
	t := &table{}
	r.stages(t)
	r.threads(t)
	r.peers(t)
	if r.GPU != nil {
		t.f("### On a GPU\n\nTime of a step; dnngen and PyTorch are in the same rounds and compute in the same precision.\n\n%s", r.GPU.Table())
	}
	r.accuracy(t)
	r.cost(t)
	r.growth(t)
	return t.String()
}

// openBLAS returns the interpreter on OpenBLAS, with one thread.
func (r *results) openBLAS(network string) *bench.Result {
	for _, s := range r.OpenBLAS.Reports {
		if s.Network == network {
			return find(s.Results, compare.Interpreted, 1)
		}
	}
	return nil
}

// devices are the trainer's on a CPU, slowest first.
var devices = func() (list []string) {
	for _, name := range slices.Backward(device.Names) {
		if strings.HasPrefix(name, "cpu:") {
			list = append(list, name)
		}
	}
	return list
}()

func (r *results) stages(t *table) {
	t.f("### What each stage gains\n\nTime of a step with one thread, and what each stage of compiling makes of it.")
	t.from(r.Suite.Stamp)
	t.head("network", "interpreted, OpenBLAS", "interpreted, gonum", "emitted Go, not fused", "emitted Go", "AVX2", "AVX-512", "AVX-512, of peak", "from gonum to AVX-512", "from OpenBLAS to AVX-512")
	for _, s := range r.Suite.Reports {
		start := find(s.Results, compare.Interpreted, 1)
		strong := r.openBLAS(s.Network)
		cells := []string{shapes[s.Network], step(strong), step(start), step(find(s.Results, compare.Plain, 1))}
		for _, d := range devices {
			cells = append(cells, step(find(s.Results, d, 1)))
		}
		share := "-"
		if x := find(s.Results, "cpu:avx512", 1); x != nil {
			share = fmt.Sprintf("%.0f %%", 100*x.Share)
		}
		fastest := bestOf(s.Results)
		t.row(append(cells, share, times(start, fastest), times(strong, fastest))...)
	}
	t.f("\nOpenBLAS by: `%s`\n", r.OpenBLAS.Command)
	t.head("network", "dispatch", "fusion", "SIMD, 8 lanes", "SIMD, 16 lanes", "threads")
	for _, s := range r.Suite.Reports {
		cells := []string{shapes[s.Network]}
		for _, stage := range []string{"dispatch", "fusion", "SIMD, 8 lanes", "SIMD, 16 lanes", fmt.Sprintf("%d threads", most(s.Results))} {
			cell := "-"
			for _, g := range s.Gains {
				if g.Stage == stage {
					cell = fmt.Sprintf("%.2f×", g.Factor)
				}
			}
			cells = append(cells, cell)
		}
		t.row(cells...)
	}
	t.f("")
}

func (r *results) threads(t *table) {
	n := 1
	for _, s := range r.Suite.Reports {
		n = max(n, most(s.Results))
	}
	if n == 1 {
		return
	}
	above := false // the peak
	t.f("### With %d threads\n", n)
	t.head("network", "interpreted", "emitted Go", "AVX2", "AVX-512", "of peak")
	for _, s := range r.Suite.Reports {
		cells := []string{shapes[s.Network], step(find(s.Results, compare.Interpreted, n))}
		for _, d := range devices {
			cells = append(cells, step(find(s.Results, d, n)))
		}
		share := "-"
		if x := find(s.Results, "cpu:avx512", n); x != nil {
			share = fmt.Sprintf("%.0f %%", 100*x.Share)
			above = above || x.Share > 1
		}
		t.row(append(cells, share)...)
	}
	t.f("")
	if above {
		t.f("The peak is measured between the rounds. A share above 100 %% is of a run in which the machine's")
		t.f("other programs took more from the peak than from the steps.\n")
	}
}

func (r *results) peers(t *table) {
	t.f("### Peers\n\nTime of a step; dnngen is in the same rounds.")
	t.from(r.Peers.Stamp)
	for n := 1; n <= 2; n++ {
		threads := 1
		if n == 2 {
			for _, p := range r.Peers.Reports {
				threads = max(threads, most(p.Results))
			}
			if threads == 1 {
				break
			}
		}
		t.f("%d thread%s:\n", threads, map[bool]string{true: "s"}[threads > 1])
		names := []string{compare.TorchEager, compare.TorchCompile, compare.JAX, compare.Sklearn, compare.GoMLX, compare.Gorgonia}
		t.head(append(append([]string{"network", "dnngen"}, names...), "nearest peer")...)
		for _, p := range r.Peers.Reports {
			own := find(p.Results, p.Results[0].Name, threads)
			cells := []string{shapes[p.Network], step(own)}
			var nearest *bench.Result
			for _, name := range names {
				x := find(p.Results, name, threads)
				cells = append(cells, step(x))
				if x != nil && (nearest == nil || x.Step.Median < nearest.Step.Median) {
					nearest = x
				}
			}
			t.row(append(cells, times(nearest, own))...)
		}
		t.f("")
	}
	r.absences(t)
}

// absences lists, once each, why a peer did not take part.
func (r *results) absences(t *table) {
	seen := map[string]bool{}
	for _, p := range r.Peers.Reports {
		for _, a := range p.Absent {
			line := fmt.Sprintf("- %s, %s: %s", p.Source, a.Name, a.Why)
			if !seen[line] {
				seen[line] = true
				t.f("%s", line)
			}
		}
	}
	t.f("")
}

func (r *results) accuracy(t *table) {
	t.f("### From process start to a good model\n\nWall-clock time until the process has ended; both test after each epoch and stop after the first that is good enough.")
	t.from(r.Accuracy.Stamp)
	t.head("task", "program", "threads", "seconds", "quartiles", "accuracy", "epochs", "memory")
	for _, a := range r.Accuracy.Results {
		if a.Missing != "" {
			t.row(a.Task, a.Program, "-", "-", "-", "-", "-", a.Missing)
			continue
		}
		t.row(a.Task, a.Program, fmt.Sprint(a.Threads), fmt.Sprintf("%.2f", a.Seconds.Median), fmt.Sprintf("%.2f to %.2f", a.Seconds.Low, a.Seconds.High),
			fmt.Sprintf("%.2f %%", 100*a.Accuracy), strings.Trim(fmt.Sprint(a.Epochs), "[]"), fmt.Sprintf("%d MB", a.RSS/1e6))
	}
	t.f("")
}

func (r *results) cost(t *table) {
	t.f("### Cost beyond the step")
	t.from(r.Cost.Stamp)
	t.head("spec", "generate", "build", "first build ever", "start", "binary", "source", "memory of a training")
	for _, o := range r.Cost.Own {
		first := "-"
		if o.First > 0 {
			first = bench.Duration(o.First)
		}
		t.row(o.Spec, bench.Duration(o.Generate.Median), bench.Duration(o.Again.Median), first, bench.Duration(o.Start.Median),
			fmt.Sprintf("%.1f MB", float64(o.Binary)/1e6), fmt.Sprintf("%.2f MB", float64(o.Source)/1e6), fmt.Sprintf("%d MB", o.RSS/1e6))
	}
	t.f("")
	t.head("library", "version", "install", "import", "memory after the import")
	for _, p := range r.Cost.Peers {
		if p.Missing != "" {
			t.row(p.Name, "-", "-", "-", p.Missing)
			continue
		}
		t.row(p.Name, p.Version, fmt.Sprintf("%d MB", p.Install/1e6), bench.Duration(p.Import.Median), fmt.Sprintf("%d MB", p.RSS/1e6))
	}
	t.f("")
}

func (r *results) growth(t *table) {
	t.f("### Growth\n\nTime of a step against one size, the others fixed; the dotted line is the time at the peak of one thread.")
	t.from(r.Growth.Stamp)
	for _, c := range r.Growth.Curves {
		t.f("![step time against %s](../docs/img/growth-%s.svg)\n\n%s\n", c.Name, c.Name, bend(c))
		if why := r.Why[c.Name]; why != "" {
			t.f("%s\n", why)
		}
	}
}

// bend says where the fastest device's share of the peak is highest and lowest.
func bend(c record.Curve) string {
	low, high := -1, -1
	share := func(i int) float64 {
		return bestOf(c.Points[i].Results).Share
	}
	for i, p := range c.Points {
		if bestOf(p.Results) == nil {
			continue
		}
		if low < 0 || share(i) < share(low) {
			low = i
		}
		if high < 0 || share(i) > share(high) {
			high = i
		}
	}
	if low < 0 {
		return ""
	}
	return fmt.Sprintf("Share of the peak (one thread): least %.0f %% at %s %d, most %.0f %% at %s %d.",
		100*share(low), c.Name, c.Points[low].Size, 100*share(high), c.Name, c.Points[high].Size)
}

// chart draws the README's bars: samples per second of every contender, for the
// networks that everybody knows.
func (r *results) chart() []byte {
	c := bars.Chart{Title: "Training samples per second, one thread", XLabel: "samples/s, logarithmic; " + r.Suite.Machine.CPU}
	for _, s := range r.Suite.Reports {
		if s.Network != "w3" && s.Network != "w4" && s.Network != "digits" {
			continue
		}
		b := bars.Block{Title: shapes[s.Network]}
		add := func(name string, x *bench.Result, group int) {
			if x != nil {
				b.Bars = append(b.Bars, bars.Bar{Name: name, Value: x.Samples, Text: bench.Count(x.Samples) + "/s", Group: group})
			}
		}
		add("interpreted autograd in Go", find(s.Results, compare.Interpreted, 1), 0)
		if p := r.peersOf(s.Network); p != nil {
			for _, name := range []string{compare.Sklearn, compare.TorchEager, compare.TorchCompile, compare.JAX} {
				add(name, find(p.Results, name, 1), 1)
			}
		}
		for i, d := range devices {
			add("dnngen "+d, find(s.Results, d, 1), 2+min(i, 1))
		}
		c.Blocks = append(c.Blocks, b)
	}
	return c.SVG()
}
