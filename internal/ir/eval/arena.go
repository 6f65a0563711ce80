package eval

import (
	"math"

	"github.com/dnngen/dnngen/internal/ir"
)

// arena is the memory that planned buffers share.
type arena struct {
	width  int
	values []float64
}

// InArena returns a machine whose buffers lie where the memory plan puts them.
// Every pass begins with NaN everywhere, so that a plan which lets two living
// buffers meet, or a step which reads what nothing wrote, gives wrong numbers.
func InArena(p *ir.Program) *Machine {
	m := New(p)
	m.placed = map[*ir.Buffer]*arena{}
	for _, plan := range []struct {
		buffers []*ir.Buffer
		width   int
	}{{p.Buffers, p.ArenaWidth}, {p.InferBuffers, p.InferWidth}} {
		a := &arena{width: plan.width}
		for _, b := range plan.buffers {
			m.placed[b] = a
		}
		m.arenas = append(m.arenas, a)
	}
	return m
}

// place returns the values of a buffer of the given number of rows.
func (a *arena) place(b *ir.Buffer, rows int) []float64 {
	if len(a.values) != a.width*rows {
		a.values = make([]float64, a.width*rows)
		a.spoil()
	}
	return a.values[b.Column*rows : (b.Column+b.Width)*rows]
}

func (a *arena) spoil() {
	for i := range a.values {
		a.values[i] = math.NaN()
	}
}

// spoil forgets what the last pass left in the arenas.
func (m *Machine) spoil() {
	for _, a := range m.arenas {
		a.spoil()
	}
}
