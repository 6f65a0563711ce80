package vec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/reg"
)

// legend lists what registers hold, in a comment before the code that it is
// about: a function, or one part of it.
type legend struct {
	comment *ir.Comment // nil: at the function's head
	names   []name
}

// name tells what a register holds.
type name struct {
	r    reg.Register
	text string
}

// Name notes what a register holds, for the function's legend or that of the
// part which Part began.
func (e *Emitter) Name(r reg.Register, format string, args ...any) {
	list := e.legends[e.current]
	if len(list) == 0 {
		list = append(list, &legend{})
		e.legends[e.current] = list
	}
	last := list[len(list)-1]
	last.names = append(last.names, name{r, fmt.Sprintf(format, args...)})
}

// Part begins a part of the function, which has a title and a legend of its own.
func (e *Emitter) Part(title string) {
	e.Comment(title)
	f, err := e.Result()
	if err != nil {
		return // Compile reports it
	}
	functions := f.Functions()
	nodes := functions[len(functions)-1].Nodes
	if comment, ok := nodes[len(nodes)-1].(*ir.Comment); ok {
		e.legends[e.current] = append(e.legends[e.current], &legend{comment: comment})
	}
}

// writeLegends writes the legends of a function whose registers are allocated.
func (e *Emitter) writeLegends(fn *ir.Function) {
	for _, l := range e.legends[fn.Name] {
		lines := l.lines(fn.Allocation)
		switch {
		case l.comment != nil:
			l.comment.Lines = append(l.comment.Lines, lines...)
		case len(lines) > 0:
			fn.Nodes = append([]ir.Node{ir.NewComment(lines...)}, fn.Nodes...)
		}
	}
}

// lines writes a line for each meaning, with the registers that have it, in
// the order of the registers. A register that holds one thing after the other
// stands in a line for each.
func (l *legend) lines(places reg.Allocation) []string {
	registers := map[string][]place{}
	var texts []string
	for _, n := range l.names {
		at := place{kind: "stack"}
		if p := places.LookupRegister(n.r); p != nil {
			at = placeOf(p.Asm())
		}
		if _, known := registers[n.text]; !known {
			texts = append(texts, n.text)
		}
		registers[n.text] = append(registers[n.text], at)
	}
	for text, list := range registers {
		slices.SortFunc(list, place.compare)
		registers[text] = slices.Compact(list)
	}
	slices.SortStableFunc(texts, func(a, b string) int { return registers[a][0].compare(registers[b][0]) })
	var lines []string
	width := 5
	for _, text := range texts {
		width = max(width, len(ranges(registers[text])))
	}
	for _, text := range texts {
		lines = append(lines, fmt.Sprintf("%-*s %s", width, ranges(registers[text]), text))
	}
	return lines
}

// place is a register's name, taken apart: "Z" and 12, "AX" and -1.
type place struct {
	kind   string
	number int
}

func placeOf(name string) place {
	kind := strings.TrimRight(name, "0123456789")
	n, err := strconv.Atoi(name[len(kind):])
	if err != nil {
		n = -1
	}
	return place{kind, n}
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(p.number, q.number))
}

func (p place) String() string {
	if p.number < 0 {
		return p.kind
	}
	return p.kind + strconv.Itoa(p.number)
}

// ranges writes sorted places: "AX, Z0-Z5, Z9".
func ranges(list []place) string {
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1].kind == list[i].kind && list[j].number >= 0 && list[j+1].number == list[j].number+1 {
			j++
		}
		if j == i {
			out = append(out, list[i].String())
		} else {
			out = append(out, list[i].String()+"-"+list[j].String())
		}
		i = j + 1
	}
	return strings.Join(out, ", ")
}
