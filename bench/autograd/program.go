package autograd

import (
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
)

// program computes expressions element by element, as a list of loops: what an
// interpreter makes of a formula. What does not vary from element to element
// is computed once a run.
type program struct {
	vars    []string      // that vary, in the order of a run's inputs
	scalars *expr.Program // computes the operands of kind isScalar
	code    []instruction
	copies  []instruction // operand a to output dst, where no instruction wrote it
	slots   int           // pieces of scratch memory
}

// instruction is one loop: dst = op(args).
type instruction struct {
	op   expr.Op
	dst  operand
	args [3]operand
}

// operand tells where a loop finds its numbers.
type operand struct {
	kind  kind
	index int
}

type kind uint8

const (
	nowhere kind = iota
	inInput
	inOutput
	inSlot
	isScalar // one number
)

// compile makes a program of the roots over the variables vars; all others are
// scalars. Output i may lie where the variable inPlace[i] lies ("" for a place
// of its own).
func compile(roots []*expr.Node, vars []string, inPlace []string) *program {
	c := &compiler{
		program: &program{vars: vars}, place: map[string]operand{}, lastUse: map[string]int{}, reads: map[string]int{},
	}
	order := expr.Schedule(roots...)
	c.uses(order, roots)
	for at, n := range order {
		if !c.varies(n) || n.Op == expr.Var {
			continue
		}
		in := instruction{op: n.Op}
		for i, a := range n.Args {
			in.args[i] = c.operand(a)
		}
		for _, a := range n.Args {
			c.release(a, at)
		}
		in.dst = c.target(n, at, roots, inPlace)
		c.place[n.Key()] = in.dst
		c.code = append(c.code, in)
	}
	for i, r := range roots {
		from, to := c.operand(r), operand{inOutput, i}
		if from != to && (from.kind != inInput || vars[from.index] != inPlace[i]) {
			c.copies = append(c.copies, instruction{dst: to, args: [3]operand{from}})
		}
	}
	c.program.scalars = expr.NewProgram(c.uniform...)
	return c.program
}

type compiler struct {
	*program
	place   map[string]operand // of each computed node
	uniform []*expr.Node       // the operands of kind isScalar
	lastUse map[string]int     // the last place in the schedule that reads a node
	reads   map[string]int     // the same for a variable
	free    []int              // slots that may be used again
	varied  map[string]bool
}

// uses notes where each node is read for the last time; what is copied to an
// output is read at the end.
func (c *compiler) uses(order, roots []*expr.Node) {
	c.varied = map[string]bool{}
	for at, n := range order {
		c.varied[n.Key()] = n.Op == expr.Var && slices.Contains(c.vars, n.Name)
		for _, a := range n.Args {
			c.lastUse[a.Key()] = at
			c.varied[n.Key()] = c.varied[n.Key()] || c.varied[a.Key()]
			if a.Op == expr.Var {
				c.reads[a.Name] = at
			}
		}
	}
	for _, r := range roots {
		c.lastUse[r.Key()] = len(order)
		if r.Op == expr.Var {
			c.reads[r.Name] = len(order)
		}
	}
}

func (c *compiler) varies(n *expr.Node) bool { return c.varied[n.Key()] }

func (c *compiler) operand(n *expr.Node) operand {
	if p, ok := c.place[n.Key()]; ok {
		return p
	}
	var p operand
	if c.varies(n) { // a variable; all else has its place
		p = operand{inInput, slices.Index(c.vars, n.Name)}
	} else {
		p = operand{isScalar, len(c.uniform)}
		c.uniform = append(c.uniform, n)
	}
	c.place[n.Key()] = p
	return p
}

// release gives back the slot of an argument that is read for the last time. A
// loop may write where it reads.
func (c *compiler) release(n *expr.Node, at int) {
	if p := c.place[n.Key()]; p.kind == inSlot && c.lastUse[n.Key()] == at && !slices.Contains(c.free, p.index) {
		c.free = append(c.free, p.index)
	}
}

// target chooses where a node goes: to its output at once, unless somebody
// still reads the variable that lies there.
func (c *compiler) target(n *expr.Node, at int, roots []*expr.Node, inPlace []string) operand {
	for i, r := range roots {
		if r.Key() == n.Key() && (inPlace[i] == "" || c.reads[inPlace[i]] <= at) {
			return operand{inOutput, i}
		}
	}
	if last := len(c.free) - 1; last >= 0 {
		s := c.free[last]
		c.free = c.free[:last]
		return operand{inSlot, s}
	}
	c.slots++
	return operand{inSlot, c.slots - 1}
}
