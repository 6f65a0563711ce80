package kernel

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
)

// Rule is an optimizer's update of one element.
type Rule struct {
	States  []string     // variables of the optimizer's state
	Scalars []string     // variables that are the same for all elements, in the order in which they lie in memory
	W       *expr.Node   // the new parameter
	Next    []*expr.Node // the new states
}

// Variables of a rule's expressions.
const (
	VarW = "w" // parameter
	VarG = "g" // gradient
)

func (r *Rule) roots() []*expr.Node { return append([]*expr.Node{r.W}, r.Next...) }

func (r *Rule) key() string {
	if r == nil {
		return "-"
	}
	var keys []string
	for _, n := range r.roots() {
		keys = append(keys, n.Key())
	}
	return strings.Join(keys, " ")
}

// light reports whether the rule can run on registers beside a full tile of
// gradients.
func (r *Rule) light() bool {
	n := 0
	for _, node := range expr.Schedule(r.roots()...) {
		switch node.Op {
		case expr.Const, expr.Var:
		case expr.Add, expr.Sub, expr.Mul, expr.Neg:
			n++
		default:
			return false
		}
	}
	return n <= 8
}

// stateNames are the names of the parameters that point to the states: those
// of the states as Go writes them, "expAvg" for "exp_avg".
func (r *Rule) stateNames() []string {
	var names []string
	for _, s := range r.States {
		first, more, _ := strings.Cut(s, "_")
		for part := range strings.SplitSeq(more, "_") {
			if part != "" {
				first += strings.ToUpper(part[:1]) + part[1:]
			}
		}
		names = append(names, first)
	}
	return names
}

// params are the pointers that an update needs, the parameter's first.
func (r *Rule) params(shape string) []Param {
	list := []Param{Pointer("w", shape+", the parameter")}
	for _, s := range r.stateNames() {
		list = append(list, Pointer(s, shape+", the optimizer's state"))
	}
	return append(list, Pointer("scalars", fmt.Sprintf("[%d], %s", max(1, len(r.Scalars)), strings.Join(r.Scalars, ", "))))
}

// target is where an update reads and writes.
type target struct {
	w       reg.Register
	states  []reg.Register
	scalars reg.Register
}

// targets loads the pointers of an update; where says where they stand.
func (f *function) targets(r *Rule, where string) target {
	t := target{w: f.moving("w", where), scalars: f.arg("scalars")}
	for _, s := range r.stateNames() {
		t.states = append(t.states, f.moving(s, where))
	}
	return t
}

// destination loads the pointers of an update, or that of a kept gradient;
// where says where they stand.
func (f *function) destination(r *Rule, where string) target {
	if r == nil {
		return target{w: f.moving("w", where)}
	}
	return f.targets(r, where)
}

// update writes the update of one vector of gradients, disp bytes behind the
// pointers.
func (f *function) update(r *Rule, t target, g vec.Val, disp int) {
	vars := map[string]vec.Val{VarW: vec.At(at(t.w, disp)), VarG: g}
	for i, s := range r.States {
		vars[s] = vec.At(at(t.states[i], disp))
	}
	for i, s := range r.Scalars {
		vars[s] = vec.Each(at(t.scalars, 4*i))
	}
	values := f.lower(r.roots(), vars)
	for i := range r.States {
		f.StoreVec(values[1+i], at(t.states[i], disp))
	}
	f.StoreVec(values[0], at(t.w, disp))
}

// deposit updates a vector's parameters or keeps the gradient; lanes beyond
// the first count as padding and get no gradient.
func (f *function) deposit(r *Rule, to target, grad vec.Vec, disp, lanes int) {
	if lanes < f.Lanes() {
		grad = f.KeepTail(grad, f.TailOf(max(lanes, 0)))
	}
	if r != nil {
		f.update(r, to, grad, disp)
		return
	}
	store := f.label("store")
	f.CMPQ(f.slot("more"), operand.U8(0))
	f.JE(operand.LabelRef(store))
	f.AddInto(grad, vec.At(at(to.w, disp)))
	f.Label(store)
	f.StoreVec(grad, at(to.w, disp))
}

// advance moves the pointers of an update.
func (f *function) advance(t target, bytes int) {
	f.add(bytes, t.w)
	for _, s := range t.states {
		f.add(bytes, s)
	}
}

// Update applies a rule to a run of elements whose gradient is in memory: the
// sum over Shards gradients that stand Stride elements apart.
type Update struct {
	Name   string
	Rule   *Rule
	Stride int
}

// FuncName implements Kernel.
func (k *Update) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Update) Key() string { return fmt.Sprintf("update %d %s", k.Stride, k.Rule.key()) }

// Params implements Kernel.
func (k *Update) Params() Params {
	list := append(k.Rule.params("[vectors][16]"),
		Pointer("grads", fmt.Sprintf("[shards][vectors][16], gradients, %d elements from shard to shard", k.Stride)),
		Count("shards", "number of gradients to add, at least 1"),
		Count("vectors", "number of vectors of 16"))
	return Params{List: list}
}

// about implements Kernel.
func (k *Update) about() string { return "adds the shards' gradients and updates a run of parameters." }

// body implements Kernel.
func (k *Update) body(f *function) {
	t := f.targets(k.Rule, "at the vector")
	g, vectors := f.moving("grads", "at the vector"), f.count("vectors")
	block := UpdateBlock / f.parts()
	blocks, rest := f.divide(vectors, block)
	f.repeat("block", blocks, func() { k.lines(f, t, g, block) })
	f.repeat("vector", rest, func() { k.lines(f, t, g, 1) })
}

// UpdateBlock is the number of registers that Update sums in at a time, and of
// vectors of 16 with AVX-512. Of each shard it then reads some lines that follow
// one another, while the next ones are fetched: one line of each in turn are more
// streams than a processor follows by itself.
const UpdateBlock = 8

// lines updates n vectors of 16.
func (k *Update) lines(f *function, t target, g gp, n int) {
	from, shards := f.GP64(), f.GP64()
	sum := make(vec.Wide, n*f.parts())
	for v := range sum {
		sum[v] = f.LoadVec(at(g, f.part(v)))
	}
	f.load("shards", shards)
	f.DECQ(shards)
	f.MOVQ(g, from)
	f.loopReg("shard", shards, func() {
		f.add(4*k.Stride, from)
		for v := range sum {
			f.AddInto(sum[v], vec.At(at(from, f.part(v))))
		}
		for line := range n {
			f.PREFETCHT0(at(from, (n+line)*lineBytes))
		}
	})
	for v := range sum {
		f.update(k.Rule, t, sum[v], f.part(v))
	}
	f.add(n*lineBytes, g)
	f.advance(t, n*lineBytes)
}

// weightLine says where the lines of a tile of weights lie: panel by panel, a
// line a row.
func weightLine(base reg.Register, first, panelRows int) func(row, panel int) operand.Mem {
	return func(row, panel int) operand.Mem { return at(base, (panel*panelRows+first+row)*lineBytes) }
}
