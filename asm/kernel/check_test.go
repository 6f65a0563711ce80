package kernel

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/ran"
	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/scratch"
)

// depths are the lengths of sums, and numbers of inputs, that kernels are made
// for. Each is tried with every number of rows and columns of the same list, so
// that every triple is; -short leaves out depths that lie at no edge of a vector,
// a panel or an unrolled loop.
func depths() (list []int) {
	edges := []int{1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33}
	for i := 1; i <= 33; i++ {
		if !testing.Short() || slices.Contains(edges, i) {
			list = append(list, i)
		}
	}
	return append(list, 63, 64, 65, 127, 128, 129)
}

// capacities are the numbers of rows that buffers hold, and with them the
// heights of tiles: all that there are.
var capacities = []int{129, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 33}

// descent is plain gradient descent.
var descent = &Rule{
	W:       expr.Diff(expr.V(VarW), expr.Prod(expr.V("lr"), expr.V(VarG))),
	Scalars: []string{"lr"},
}

// miss is the difference between an output and its target.
var miss = expr.Diff(expr.V("z"), expr.V("y"))

// suite collects kernels and writes the checker's table of them.
type suite struct {
	kernels []Kernel
	table   map[string]*bytes.Buffer // by field
	isa     vec.ISA
	depths  []int
}

func (s *suite) add(field, format string, args ...any) {
	for i, a := range args {
		if k, ok := a.(Kernel); ok {
			s.kernels = append(s.kernels, k)
			args[i] = Symbol(k, s.isa)
		}
	}
	if s.table[field] == nil {
		s.table[field] = &bytes.Buffer{}
	}
	fmt.Fprintf(s.table[field], "\t\t\t{"+format+"},\n", args...)
}

// timesInputs multiplies gradients by inputs and is written over these.
var timesInputs = &Map{
	In:      []In{{"d", View{Buffer: Accumulator, Stride: 1}}, {"a", View{Buffer: 0, Stride: 1}}},
	Out:     []Out{{View{Buffer: 0, Stride: 1}, expr.Prod(expr.V("d"), expr.V("a"))}},
	Buffers: []string{"a"}, Rows: 129,
}

// timesUnit multiplies gradients by a number of each unit.
var timesUnit = &Map{
	In:      []In{{"d", View{Buffer: Accumulator, Stride: 1}}},
	Param:   PerUnit,
	Out:     []Out{{View{Buffer: 0, Stride: 1}, expr.Prod(expr.V("d"), expr.V(VarParam))}},
	Buffers: []string{"a"}, Rows: 129,
}

func (s *suite) fill() {
	pad := func(n int) int { return (n + Lanes - 1) / Lanes * Lanes }
	for i, k := range s.depths {
		for j, rows := range capacities {
			if j > 0 && (i+j)%8 != 0 {
				continue // two other heights of tiles for each depth
			}
			for _, panels := range []int{1, 2, 3, 4, 8} {
				if panels > 2 && rows > 6 || panels > 4 && rows > 3 {
					continue // as the plan groups them
				}
				p := &Product{
					Name: fmt.Sprintf("product_%d_%d_%d_", k, rows, panels), Doc: "is tested.",
					Depth: k, PanelDepth: k + i%2, Rows: rows, Panels: panels, Store: true,
					Splits: map[vec.ISA]Split{s.isa: SplitRows(rows, MaxRows(s.isa))},
				}
				field := []string{"plain", "bias", "resume"}[(i+j)%3]
				p.Bias, p.Resume = field == "bias", field == "resume"
				split := p.Splits[s.isa]
				s.add("products", "depth: %d, panelDepth: %d, rows: %d, panels: %d, height: %d, tall: %d, "+field+": %s",
					k, p.PanelDepth, rows, panels, split.Height, split.Tall, p)
				flat := *p
				flat.Name, flat.Stride = "flat"+p.Name, k+i%3
				s.add("products", "depth: %d, panelDepth: %d, rows: %d, stride: %d, panels: %d, height: %d, tall: %d, "+field+": %s",
					k, p.PanelDepth, rows, flat.Stride, panels, split.Height, split.Tall, &flat)
			}
		}
		for _, panels := range []int{1, 2} {
			rule, field := descent, "update"
			if (i+panels)%2 == 0 {
				rule, field = nil, "keep"
			}
			g := &Gradient{
				Name: fmt.Sprintf("gradient_%d_%d_", k, panels), Doc: "is tested.",
				Inputs: k, PanelRows: pad(k), Rows: 129, Panels: panels, Rule: rule,
			}
			if g.Bias = i%3 > 0; g.Bias {
				field += "Bias"
			}
			s.add("gradients", "inputs: %d, panelRows: %d, rows: %d, panels: %d, "+field+": %s", k, g.PanelRows, g.Rows, panels, g)
			flat := *g
			flat.Name, flat.Stride = "flat"+g.Name, k+i%3
			s.add("gradients", "inputs: %d, panelRows: %d, rows: %d, stride: %d, panels: %d, "+field+": %s", k, g.PanelRows, g.Rows, flat.Stride, panels, &flat)
		}
		for _, back := range []bool{false, true} {
			s.add("blocks", "width: %d, rows: %d, back: %v, f: %s", k, 129, back,
				&Block{Name: fmt.Sprintf("block_%d_%v_", k, back), Width: k, Rows: 129, Back: back})
		}
		s.add("dots", "inputs: %d, rows: 129, f: %s, grad: %s, back: %s, keep: %s, row: %s", k,
			&Dot{Name: fmt.Sprintf("dot_%d_", k), Inputs: k, Rows: 129, Bias: true},
			&DotGradient{Name: fmt.Sprintf("dotgradient_%d_", k), Inputs: k, Rows: 129},
			&DotGradient{Name: fmt.Sprintf("dotback_%d_", k), Inputs: k, Rows: 129, Rule: descent, Input: true, Store: true, Map: timesInputs},
			&DotGradient{Name: fmt.Sprintf("dotkeep_%d_", k), Inputs: k, Rows: 129, Input: true, Map: timesUnit},
			&RankOne{Name: fmt.Sprintf("row_%d_", k), Inputs: k, PanelRows: pad(k), Panels: 3, Rule: descent, Input: true, Store: true})
		s.add("losses", "width: %d, rows: 129, class: %s, square: %s", k,
			&CrossEntropy{Name: fmt.Sprintf("crossentropy_%d_", k), Width: k, Rows: 129},
			&Loss{Name: fmt.Sprintf("square_%d_", k), Width: k, Rows: 129, Value: expr.Prod(miss, miss), Slope: expr.Prod(expr.C(2), miss)})
	}
	for panels := 1; panels <= 2; panels++ {
		s.add("biases", "rows: 129, panels: %d, f: %s", panels,
			&BiasGradient{Name: fmt.Sprintf("bias_%d_", panels), Rows: 129, Panels: panels, Rule: descent})
	}
	const stride = 560 // 35 vectors: more than the checker updates
	s.add("updates", "stride: %d, f: %s", stride, &Update{Name: "update", Rule: descent, Stride: stride})
	square := expr.Prod(expr.V("z"), expr.V("z"))
	s.add("maps", "rows: 129, f: %s", &Apply{Name: "map", Doc: "is tested.", Map: &Map{
		In:      []In{{"z", View{Buffer: 0, Stride: 1}}},
		Out:     []Out{{View{Buffer: 1, Stride: 1}, square}},
		Sum:     []Sum{{square}},
		Buffers: []string{"z", "a"}, Rows: 129,
	}})
	s.add("denses", "rows: 129, loss: %s, bias: %s",
		&DenseLoss{Name: "denseloss", Value: expr.Prod(miss, miss), Slope: expr.Prod(expr.C(2), miss)},
		&DotBias{Name: "dotbias"})
	for _, panels := range []int{1, 3} {
		for lines := 1; lines <= 8; lines++ {
			s.add("transposes", "panels: %d, panelRows: %d, lines: %d, f: %s", panels, 144, lines,
				&Transpose{Name: fmt.Sprintf("transpose_%d_%d_", panels, lines), Panels: panels, PanelRows: 144, Lines: lines})
		}
	}
}

// TestKernels compares kernels with plain loops: bit for bit on whole numbers,
// within the bound of rounding on others, for all numbers of rows, columns and
// inputs, with pages around every buffer that must not be touched. It does not
// count as passed unless every instruction set of this machine was run. Kernels of
// one that it lacks are emulated, all of them, for fewer sizes.
func TestKernels(t *testing.T) {
	const folder = "asm/kernel/checker"
	m := scratch.New(t, "asm/internal/emulate")
	files, err := filepath.Glob(filepath.Join("testdata", "checker", "*.go"))
	if err != nil || files == nil {
		t.Fatalf("there is no checker: %v", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m.Put(folder+"/"+filepath.Base(name), content)
	}
	texts := map[vec.ISA][]byte{}
	depths := depths()
	table := "package main\n\nvar sets = map[string]set{\n"
	for _, isa := range vec.ISAs {
		s := &suite{isa: isa, depths: depths, table: map[string]*bytes.Buffer{}}
		s.fill()
		e := vec.New(isa, "consts"+isa.String())
		for _, k := range s.kernels {
			Emit(e, k)
		}
		files, err := e.Compile("a test", "main")
		if err != nil {
			t.Fatal(err)
		}
		checkStops(t, files.Asm)
		checkSpills(t, files.Stats)
		texts[isa] = files.Asm
		m.Put(folder+"/"+isa.String()+"_amd64.s", files.Asm)
		m.Put(folder+"/"+isa.String()+"_amd64.go", files.Stubs)
		table += fmt.Sprintf("\t%q: {\n", isa)
		for _, field := range []struct{ name, kind string }{
			{"products", "product"}, {"gradients", "gradient"}, {"transposes", "transpose"}, {"blocks", "block"}, {"dots", "dot"}, {"biases", "bias"}, {"losses", "loss"},
			{"updates", "update"}, {"maps", "apply"}, {"denses", "dense"},
		} {
			table += fmt.Sprintf("\t\t%s: []%s{\n%s\t\t},\n", field.name, field.kind, s.table[field.name])
		}
		table += "\t},\n"
	}
	m.Put(folder+"/table.go", []byte(table+"}\n"))
	m.Vet("./" + folder)
	checker := m.Build("./" + folder)
	for _, isa := range vec.ISAs {
		t.Run(isa.String(), func(t *testing.T) {
			ran.Here(t, isa.String())
			check(t, checker, isa.String())
		})
		if ran.Missing(isa.String()) != nil {
			t.Run(isa.String()+"/emulated", func(t *testing.T) {
				text := filepath.Join(t.TempDir(), "kernels.s")
				if err := os.WriteFile(text, texts[isa], 0o644); err != nil {
					t.Fatal(err)
				}
				check(t, checker, isa.String(), text)
			})
		}
	}
}

// check runs the checker.
func check(t *testing.T, checker string, args ...string) {
	t.Helper()
	out, err := exec.Command(checker, args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 failures") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(strings.TrimSpace(string(out)))
}

// checkSpills: the sums of products and gradients stay in registers. Results would
// be right if they did not.
func checkSpills(t *testing.T, stats []vec.Stats) {
	t.Helper()
	seen := 0
	for _, s := range stats {
		if !strings.Contains(s.Function, "product_") && !strings.Contains(s.Function, "gradient_") {
			continue
		}
		if seen++; s.Spills+s.Reloads > 0 {
			t.Errorf("%s needs %d registers and spills", s.Function, s.Pressure)
		}
	}
	if seen == 0 {
		t.Error("no products and gradients")
	}
}

// checkStops: every function looks at its stack's size when it is called, and so
// lets itself be stopped there.
func checkStops(t *testing.T, asm []byte) {
	t.Helper()
	functions := regexp.MustCompile(`(?m)^TEXT (.*)$`).FindAllSubmatch(asm, -1)
	if functions == nil {
		t.Fatal("no functions")
	}
	for _, f := range functions {
		size := regexp.MustCompile(`^\S+, \$(\d+)-\d+$`).FindSubmatch(f[1])
		if size == nil {
			t.Errorf("%s has attributes", f[1])
			continue
		}
		if n, err := strconv.Atoi(string(size[1])); err != nil || n < stackSmall {
			t.Errorf("%s: the frame is too small for a look at the stack's size", f[1])
		}
	}
}
