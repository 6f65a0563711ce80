package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/workspace"
	"github.com/dnngen/dnngen/spec"
)

func network(t *testing.T, text string) *spec.Network {
	t.Helper()
	net, _, err := spec.Parse("net.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

const text = `name: net
input: 3
layers: [linear: 6, tanh, linear: 4, swiglu, linear: 1]
loss: mse
train: {batch: 4, optimizer: {sgd: {lr: 0.05, momentum: 0.9}}}
`

const portable = "cpu:go"

// trainer builds a network's trainer.
func trainer(t *testing.T, net *spec.Network) string {
	t.Helper()
	w, err := workspace.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := workspace.ImportPath(net.Name, net.File, net.Text)
	files, err := gen.Generate(net, gen.Options{ImportPath: path})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "trainer")
	if err := w.Build(t.Context(), workspace.Job{ImportPath: path, Files: files, Out: out, Host: true, Log: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	return out
}

// checks runs every check and returns what they found, by name.
func checks(t *testing.T, net *spec.Network, trainer, device string) map[string]Check {
	t.Helper()
	found := map[string]Check{}
	job := Job{Net: net, Trainer: trainer, DataDir: ".", Temp: t.TempDir(), Device: device}
	if err := Run(t.Context(), job, func(c Check) { found[c.Name] = c }); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRightTrainerPasses(t *testing.T) {
	t.Parallel()
	net := network(t, text)
	found := checks(t, net, trainer(t, net), "")
	if len(found) < 7 {
		t.Errorf("only %d checks", len(found))
	}
	for _, c := range found {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Figures)
		}
	}
}

// A trainer of another network with the same shapes, and one that was compiled
// for another momentum, compute something else; that they do it reliably is
// no fault.
func TestWrongTrainerFails(t *testing.T) {
	net := network(t, text)
	for name, wrong := range map[string]string{
		"activation": strings.Replace(text, "tanh", "sigmoid", 1),
		"decay":      strings.Replace(text, "momentum: 0.9", "momentum: 0.9, weight_decay: 0.01", 1),
		"schedule":   strings.Replace(text, "train: {", "train: {schedule: cosine, ", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := checks(t, net, trainer(t, network(t, wrong)), portable)
			for name, want := range map[string]bool{
				"gradients, trainer": true, "cpu:go against float64": false, "cpu:go again": true, "cpu:go cut and resumed": true,
			} {
				if c := found[name]; c.OK != want {
					t.Errorf("%s: %v: %s", name, c.OK, c.Figures)
				}
			}
		})
	}
}

// wrapped returns a script that runs the trainer after lines of shell.
func wrapped(t *testing.T, trainer, lines string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	name := filepath.Join(t.TempDir(), "wrapped")
	script := fmt.Sprintf("#!/bin/sh\n%s\nexec '%s' \"$@\"\n", lines, trainer)
	if err := os.WriteFile(name, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	return name
}

// Each fault is found by the check that is there for it.
func TestUnreliableTrainerFails(t *testing.T) {
	net := network(t, text)
	good := trainer(t, net)
	for _, test := range []struct{ name, lines, check string }{
		{
			"another seed each time", `case "$*" in train*--resume*) ;; train*) set -- "$@" --seed $(od -An -N2 -tu2 /dev/urandom) ;; esac`,
			"cpu:go again",
		},
		{
			"another rate with three threads", `case "$*" in *"--threads 3"*) set -- "$@" --lr 0.06 ;; esac`,
			"cpu:go by 1, 2 and 3 threads",
		},
		{
			"another rate when resumed", `case "$*" in *--resume*) set -- "$@" --lr 0.06 ;; esac`,
			"cpu:go cut and resumed",
		},
		{
			"no state after a signal", `case "$*" in *--json*train*|train*--json*) sleep 0.05; exit 130 ;; esac`,
			"cpu:go interrupted and resumed",
		},
		{
			"wrong gradients", `case "$*" in gradcheck*) echo '{"param":"0.weight","error":1,"tolerance":0.01}'; exit 1 ;; esac`,
			"gradients, trainer",
		},
		{
			"crashes", `case "$*" in train*) exit 3 ;; esac`,
			"cpu:go against float64",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := checks(t, net, wrapped(t, good, test.lines), portable)
			if c, ok := found[test.check]; !ok || c.OK {
				t.Errorf("%s passes: %+v", test.check, c)
			}
		})
	}
}

// A trainer that cannot even tell its devices is an error, not a failed check.
func TestBrokenTrainerIsAnError(t *testing.T) {
	net := network(t, text)
	job := Job{Net: net, Trainer: filepath.Join(t.TempDir(), "none"), Temp: t.TempDir()}
	if err := Run(t.Context(), job, func(Check) {}); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrClosed)
	if err := Run(ctx, job, func(Check) {}); err == nil {
		t.Error("no error of a context that was cancelled")
	}
}

// The check of gradients in float64 finds faults planted into the backward pass
// and into the memory plan.
func TestGradientsFindFaults(t *testing.T) {
	for name, fault := range map[string]func(p *ir.Program) bool{
		"none": func(*ir.Program) bool { return false },
		"sign of a derivative": func(p *ir.Program) bool {
			out := &backwardMap(p).Out[0]
			out.Expr = expr.Minus(out.Expr)
			return true
		},
		"a thousandth": func(p *ir.Program) bool {
			out := &backwardMap(p).Out[0]
			out.Expr = expr.Prod(out.Expr, expr.C(1.001))
			return true
		},
		"slope of the loss": func(p *ir.Program) bool {
			p.Loss.Slope = expr.Prod(p.Loss.Slope, expr.C(2))
			return true
		},
		"input of a gradient": func(p *ir.Program) bool {
			for _, s := range p.Backward {
				if g, ok := s.(*ir.GradWeight); ok && g.Bias != nil {
					g.Bias = nil
					return true
				}
			}
			return false
		},
		"two buffers in one place": func(p *ir.Program) bool {
			for _, b := range p.Buffers {
				b.Column = 0
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			net := network(t, text)
			p, err := lower.Lower(net)
			if err != nil {
				t.Fatal(err)
			}
			planted := fault(p)
			v := &verifier{Job: Job{Net: net}, p: p}
			figures, err := v.gradients()
			if planted != (err != nil) {
				t.Errorf("%q, %v", figures, err)
			}
		})
	}
}

func backwardMap(p *ir.Program) *ir.Map {
	for _, s := range p.Backward {
		if m := ir.FusedMap(s); m != nil {
			return m
		}
	}
	panic("no map")
}

// Right programs pass, whatever their rows of the tables, kinks included.
func TestGradientsOfRandomNetworks(t *testing.T) {
	for seed := range uint64(60) {
		net := nettest.Random(seed, nettest.Small)
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		v := &verifier{Job: Job{Net: net}, p: p}
		if _, err := v.gradients(); err != nil && !strings.Contains(err.Error(), "every gradient is 0") {
			t.Errorf("seed %d: %v\n%s", seed, err, net.Text)
		}
	}
}

// Drawn rows suit what the spec says of columns, and are as many as the
// interpreter can walk.
func TestSyntheticRows(t *testing.T) {
	for name, extra := range map[string]string{
		"plain":       "",
		"columns":     "data: {train: no.csv, features: [a, b, c]}\n",
		"texts":       "data: {train: no.csv, features: [a, b], categorical: [b], target: t}\n",
		"only texts":  "data: {train: no.csv, categorical: [b, c]}\n",
		"all texts":   "data: {train: no.csv, features: [a, b, c], categorical: [a, b, c]}\n",
		"only target": "data: {train: no.csv, target: t}\n",
	} {
		t.Run(name, func(t *testing.T) {
			net := network(t, text+extra)
			p, err := lower.Lower(net)
			if err != nil {
				t.Fatal(err)
			}
			v := &verifier{Job: Job{Net: net, Temp: t.TempDir()}, p: p}
			r, err := v.chooseRows()
			if err != nil || r.set.Inputs != 3 || r.set.Rows < 5 || r.kind != "drawn rows" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	large := network(t, "name: large\ninput: 4000\nlayers: [linear: 4000, relu, linear: 4000, relu, linear: 10]\nloss: cross_entropy\ntrain: {batch: 512}\n")
	p, err := lower.Lower(large)
	if err != nil {
		t.Fatal(err)
	}
	v := &verifier{Job: Job{Net: large, Temp: t.TempDir()}, p: p}
	r, err := v.chooseRows()
	if err != nil || stepWork(p, v.stepRows(r.set.Rows)) > interpreterWork {
		t.Errorf("%d rows: %v", r.set.Rows, err)
	}
}

// A right trainer of layers of 1024 was told to be wrong, with Adam, which makes
// the rounding of a small gradient large.
func TestWideLayersMayRoundMore(t *testing.T) {
	for _, c := range []struct {
		widths []int
		want   float64
	}{{[]int{4, 9, 1}, amplify}, {[]int{4, 64, 1}, amplify}, {[]int{1024, 4, 1}, 68}, {[]int{4, 1024, 1}, 68}} {
		text := fmt.Sprintf("name: net\ninput: %d\nlayers: [linear: %d, relu, linear: %d]\nloss: mse\n", c.widths[0], c.widths[1], c.widths[2])
		p, err := lower.Lower(network(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if got := amplification(p); got != c.want {
			t.Errorf("widths %v: a device may round %g times as much as the shadow, want %g", c.widths, got, c.want)
		}
	}
}
