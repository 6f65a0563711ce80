package kernel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
)

// Map is an element-wise computation over units: what an activation does to
// one output, forward or backward. A unit's values stand in one lane of the
// panels of several buffers.
type Map struct {
	In      []In
	Param   ParamKind // how the variable VarParam is read
	Out     []Out
	Sum     []Sum
	Buffers []string // names of the buffers, in the order of the pointers to them
	Rows    int      // rows that each panel of the buffers holds
}

// ParamKind says how a learned parameter is shared.
type ParamKind int

// The kinds of learned parameters.
const (
	NoParam  ParamKind = iota
	OneParam           // one value for all units
	PerUnit            // one value a unit, in panels
)

// VarParam is the variable of a learned parameter.
const VarParam = "p"

// Accumulator stands for a buffer: the sums of the kernel that a map is part of.
const Accumulator = -1

// View says where the panels of a map's unit lie: unit panel u is panel
// Offset + Stride·u of the buffer.
type View struct {
	Buffer int // index into Map.Buffers, or Accumulator
	Offset int
	Stride int
}

// In binds a variable to a view.
type In struct {
	Var string
	View
}

// Out stores an expression in a view.
type Out struct {
	View
	Expr *expr.Node
}

// Sum adds an expression, over rows, to 16 sums.
type Sum struct{ Expr *expr.Node }

// Width returns how many panels of accumulators one panel of units takes.
func (m *Map) Width() int {
	w := 1
	for _, in := range m.In {
		if in.Buffer == Accumulator {
			w = max(w, in.Stride)
		}
	}
	return w
}

// key tells maps apart.
func (m *Map) key() string {
	if m == nil {
		return "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v %d", m.Param, m.Buffers, m.Rows)
	for _, in := range m.In {
		fmt.Fprintf(&b, " %s=%v", in.Var, in.View)
	}
	for _, out := range m.Out {
		fmt.Fprintf(&b, " %v=%s", out.View, out.Expr.Key())
	}
	for _, sum := range m.Sum {
		fmt.Fprintf(&b, " +%s", sum.Expr.Key())
	}
	return b.String()
}

// Formula writes the map's results for comments.
func (m *Map) Formula() string {
	var parts []string
	for _, out := range m.Out {
		name := m.Buffers[out.Buffer]
		if out.Stride > 1 {
			name += fmt.Sprintf("[%d::%d]", out.Offset, out.Stride)
		}
		parts = append(parts, name+" = "+out.Expr.String())
	}
	for _, sum := range m.Sum {
		parts = append(parts, "sum += "+sum.Expr.String())
	}
	return strings.Join(parts, ", ")
}

func (m *Map) roots() []*expr.Node {
	var roots []*expr.Node
	for _, out := range m.Out {
		roots = append(roots, out.Expr)
	}
	for _, sum := range m.Sum {
		roots = append(roots, sum.Expr)
	}
	return roots
}

// light reports whether a map is so small that it can run on registers beside
// a full tile of sums: few operations, none of which is a long function.
func (m *Map) light() bool {
	n := 0
	for _, node := range expr.Schedule(m.roots()...) {
		switch node.Op {
		case expr.Const, expr.Var:
		case expr.Add, expr.Sub, expr.Mul, expr.Neg, expr.Abs, expr.Select:
			n++
		default:
			return false
		}
	}
	return n <= 4 && len(m.Sum) == 0
}

// params are the pointers that a map of so many panels of units needs.
func (m *Map) params(panels int) []Param {
	var list []Param
	switch m.Param {
	case OneParam:
		list = append(list, Pointer("p", "[1], the learned parameter"))
	case PerUnit:
		list = append(list, Pointer("p", fmt.Sprintf("[%d][16], the learned parameter", panels)))
	}
	for i, b := range m.Buffers {
		list = append(list, Pointer(b, fmt.Sprintf("[%d][%d][16], which the map %s", panels*m.stride(i), m.Rows, m.use(i))))
	}
	return list
}

// use says what a map does to a buffer.
func (m *Map) use(buffer int) string {
	in := slices.ContainsFunc(m.In, func(in In) bool { return in.Buffer == buffer })
	out := slices.ContainsFunc(m.Out, func(out Out) bool { return out.Buffer == buffer })
	switch {
	case in && out:
		return "reads and writes"
	case out:
		return "writes"
	}
	return "reads"
}

// stride returns the distance in panels between the units of a buffer.
func (m *Map) stride(buffer int) int {
	for _, in := range m.In {
		if in.Buffer == buffer {
			return in.Stride
		}
	}
	for _, out := range m.Out {
		if out.Buffer == buffer {
			return out.Stride
		}
	}
	return 1
}

// pointers are a map's registers: one for each buffer, and the parameter's.
type pointers struct {
	buffer []reg.Register
	param  reg.Register
}

// pointers loads a map's pointers; where says where its buffers' stand.
func (f *function) pointers(m *Map, where string) pointers {
	var p pointers
	if m.Param != NoParam {
		p.param = f.arg("p")
	}
	for _, b := range m.Buffers {
		p.buffer = append(p.buffer, f.moving(b, where))
	}
	return p
}

// mapPanel writes a map for one vector: part v of the lanes of unit panel u,
// at disp bytes behind each buffer's pointer. sums holds the vectors that are
// added to.
func (f *function) mapPanel(m *Map, p pointers, acc func(panel int) vec.Vec, u, v, disp int, sums []vec.Vec) {
	where := func(view View, u int) operand.Mem {
		panel := view.Offset + view.Stride*u
		return at(p.buffer[view.Buffer], panel*m.Rows*lineBytes+disp+f.part(v))
	}
	vars := map[string]vec.Val{}
	for _, in := range m.In {
		if in.Buffer == Accumulator {
			vars[in.Var] = acc(in.Offset + in.Stride*u)
		} else {
			vars[in.Var] = vec.At(where(in.View, u))
		}
	}
	switch m.Param {
	case OneParam:
		vars[VarParam] = vec.Each(at(p.param, 0))
	case PerUnit:
		vars[VarParam] = vec.At(at(p.param, u*lineBytes+f.part(v)))
	}
	values := f.lower(m.roots(), vars)
	for i, out := range m.Out {
		f.StoreVec(values[i], where(out.View, u))
	}
	for i := range m.Sum {
		f.AddInto(sums[i*f.parts()+v], values[len(m.Out)+i])
	}
}
