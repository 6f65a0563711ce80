package data

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/wording"
)

// targets is where the targets of a table stand.
type targets struct {
	t       *Table
	g       grid
	columns []int
	cells   []float64
}

// targetsAt returns the targets in a column of t, or, for −1, those that stand
// apart.
func (t *Table) targetsAt(column int) *targets {
	s := &targets{t: t, g: t.x, columns: []int{column}}
	if column < 0 {
		s.g = t.y
		_, width := t.y.size()
		s.columns = make([]int, width)
		for c := range s.columns {
			s.columns[c] = c
		}
	}
	s.cells = make([]float64, len(s.columns))
	return s
}

// isText tells whether the targets are cells of text, which may be labels.
func (s *targets) isText() bool {
	_, is := s.g.(*text)
	return is
}

// numbers reads the targets of one row, none of which may be missing.
func (s *targets) numbers(row int) ([]float64, *Error) {
	if bad, err := s.g.numbers(row, s.columns, s.cells); err != nil {
		err.Hint = ""
		if g, is := s.g.(*text); is {
			err.Hint = g.headerHint(row, s.columns[bad])
		}
		return nil, s.named(err, s.columns[bad])
	}
	for i, v := range s.cells {
		if math.IsNaN(v) {
			return nil, s.missing(row, s.columns[i])
		}
	}
	return s.cells, nil
}

// label reads the target of one row as text.
func (s *targets) label(row int) (string, *Error) {
	if s.g.missing(row, s.columns[0]) {
		return "", s.missing(row, s.columns[0])
	}
	return s.g.text(row, s.columns[0]), nil
}

func (s *targets) missing(row, column int) *Error {
	e := s.named(s.g.at(row, column, "is missing"), column)
	e.Hint = "a target is never made up; missing: drop leaves such rows out"
	return e
}

// wrong makes an error about the target of one row.
func (s *targets) wrong(row int, hint, format string, args ...any) *Error {
	e := s.named(s.g.at(row, s.columns[0], fmt.Sprintf(format, args...)), s.columns[0])
	e.Hint = hint
	return e
}

func (s *targets) named(e *Error, column int) *Error {
	if s.g == s.t.x {
		return s.t.notNumber(e, column)
	}
	return e
}

// class reads v as the number of a class.
func class(v float64) (int, bool) {
	if v != math.Trunc(v) || v < 0 || v > math.MaxInt32 {
		return 0, false
	}
	return int(v), true
}

// distinctLabels returns the labels of a text column, sorted.
func (s *targets) distinctLabels(rows []int) ([]string, *Error) {
	seen := map[string]bool{}
	for _, r := range rows {
		label, err := s.label(r)
		if err != nil {
			return nil, err
		}
		seen[label] = true
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// learnTarget finds how the targets are to be read, and checks them against the
// network.
func (f *fitting) learnTarget(n *engine.Network) (Target, error) {
	s := f.t.targetsAt(f.target)
	target := Target{Column: f.target, Kind: valueTarget, Labels: f.t.labels}
	if f.target >= 0 && f.t.names != nil {
		target.Name = f.t.names[f.target]
	}
	most := n.Outputs // labels that the network can tell apart
	switch {
	case n.Classes:
		target.Kind = classTarget
	case n.Metrics == "binary":
		target.Kind = unitTarget
		most = 2
	default:
		target.Labels = nil
		most = 0
	}
	if err := s.checkWidth(target.Kind, n.Outputs); err != nil {
		return Target{}, err
	}
	if s.isText() && most > 0 {
		labels, err := s.distinctLabels(f.rows)
		if err != nil {
			return Target{}, err
		}
		if haveNames(labels, f.t.labels) {
			target.Labels, target.Text = labels, true
		}
	}
	if len(target.Labels) > most {
		return Target{}, f.t.errorf("the last layer needs an output for each class",
			"the target has %s (%s), but the network tells %d apart",
			wording.Count(len(target.Labels), "class"), listOf(target.Labels), most)
	}
	_, err := s.read(target, f.rows, n.Outputs)
	return target, err
}

// haveNames tells whether one of the labels is neither a number nor known. Where
// none is, labels are the numbers of the classes, or names that the source gives
// to them.
func haveNames(labels, known []string) bool {
	return slices.ContainsFunc(labels, func(s string) bool {
		_, k := parseNumber([]byte(s))
		return k != isNumber && !slices.Contains(known, s)
	})
}

// severalTargets is the hint where a table of text is to have several targets.
const severalTargets = "a table of text has one target column; give several as y of an .npz file"

// checkWidth compares the targets of a row with what the network needs.
func (s *targets) checkWidth(kind string, outputs int) error {
	want := outputs
	if kind == classTarget {
		want = 1
	}
	if len(s.columns) == want {
		return nil
	}
	hint := severalTargets
	if !s.isText() {
		hint = "y needs the shape [rows] or [rows, outputs]"
		if kind == classTarget {
			hint = "y needs the shape [rows] and the numbers of the classes, not one column a class"
		}
	}
	return s.t.errorf(hint, "a row has %s, but the network needs %d", wording.Count(len(s.columns), "target"), want)
}

// read converts the targets of the given rows of the grid.
func (s *targets) read(target Target, rows []int, outputs int) (engine.Target, error) {
	if target.Kind == classTarget {
		classes := make([]int32, len(rows))
		for i, r := range rows {
			c, err := s.classOf(target, r, outputs)
			if err != nil {
				return engine.Target{}, err
			}
			classes[i] = int32(c)
		}
		return engine.Target{Class: classes}, nil
	}
	values := make([]float32, 0, len(rows)*len(s.columns))
	for _, r := range rows {
		if target.Text {
			c, err := s.classOf(target, r, 2)
			if err != nil {
				return engine.Target{}, err
			}
			values = append(values, float32(c))
			continue
		}
		cells, err := s.numbers(r)
		if err != nil {
			return engine.Target{}, err
		}
		for _, v := range cells {
			switch {
			case target.Kind == unitTarget && (v < 0 || v > 1):
				return engine.Target{}, s.wrong(r, "bce_with_logits takes targets from 0 to 1",
					"is %v, not from 0 to 1", v)
			case math.IsInf(float64(float32(v)), 0):
				return engine.Target{}, s.wrong(r, "", "is %v, too large for 32 bits", v)
			}
			values = append(values, float32(v))
		}
	}
	return engine.Target{Value: values}, nil
}

// classOf reads the class of one row: a label where the labels were learned
// from text, a number otherwise, and in text also the name that a number has.
func (s *targets) classOf(target Target, row, outputs int) (int, *Error) {
	if s.isText() {
		label, err := s.label(row)
		if err != nil {
			return 0, err
		}
		if c := slices.Index(target.Labels, label); c >= 0 {
			return c, nil
		}
		if target.Text {
			return 0, s.wrong(row, "the classes are "+listOf(target.Labels),
				"is %s, which is no class of the training rows", clip(label))
		}
	}
	cells, err := s.numbers(row)
	if err != nil {
		return 0, err
	}
	c, whole := class(cells[0])
	if !whole || c >= outputs {
		return 0, s.wrong(row, fmt.Sprintf("the network has %d outputs, so classes are the whole numbers 0 to %d", outputs, outputs-1),
			"is %s, which is no class", strconv.FormatFloat(cells[0], 'g', -1, 64))
	}
	return c, nil
}

// countClasses tells how many classes the targets tell of; 0 where they are not
// labels.
func (f *fitting) countClasses() (int, error) {
	s := f.t.targetsAt(f.target)
	if len(s.columns) > 1 {
		return 0, nil
	}
	if s.isText() {
		labels, err := s.distinctLabels(f.rows)
		if err != nil {
			return 0, err
		}
		if haveNames(labels, f.t.labels) {
			return len(labels), nil
		}
	}
	most := len(f.t.labels)
	for _, r := range f.rows {
		if s.isText() {
			if label, _ := s.label(r); slices.Contains(f.t.labels, label) {
				continue
			}
		}
		cells, err := s.numbers(r)
		if err != nil {
			return 0, err
		}
		c, whole := class(cells[0])
		if !whole {
			return 0, nil
		}
		most = max(most, c+1)
	}
	return most, nil
}
