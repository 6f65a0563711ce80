package data

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Set is rows as a network takes them. They are only read: where numbers need
// no preparation, X is the memory of the Table.
type Set struct {
	Rows, Inputs, Outputs int

	X      []float32     // [Rows, Inputs], row-major
	Target engine.Target // empty in a Set that Prep.Rows made
	Labels []string      // names of the classes 0, 1, …, or nil

	origin origin
}

// Apply prepares the rows of t with their targets, for training or evaluation.
// Rows with a missing value are left out where the preparation says so.
func (p *Prep) Apply(t *Table) (*Set, error) {
	columns, err := p.locate(t)
	if err != nil {
		return nil, err
	}
	target, err := p.locateTarget(t)
	if err != nil {
		return nil, err
	}
	rows := make([]int, 0, t.Rows())
	check := newMissingCheckAt(t, p.Features, columns, target)
	for i := range t.Rows() {
		r := t.row(i)
		if p.Drop {
			missing, err := check.any(r)
			if err != nil {
				return nil, err
			}
			if missing {
				continue
			}
		}
		rows = append(rows, r)
	}
	s, err := p.prepare(t, columns, rows)
	if err != nil {
		return nil, err
	}
	y := t.targetsAt(target)
	if err := y.checkWidth(p.Target.Kind, p.Outputs); err != nil {
		return nil, err
	}
	s.Target, err = y.read(p.Target, rows, p.Outputs)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Rows prepares the rows of t for prediction. Targets are not needed and not
// looked at. Every row is kept, so that predictions stand beside their rows: a
// missing value that nothing fills is an error.
func (p *Prep) Rows(t *Table) (*Set, error) {
	columns, err := p.locate(t)
	if err != nil {
		return nil, err
	}
	rows := make([]int, t.Rows())
	for i := range rows {
		rows[i] = t.row(i)
	}
	return p.prepare(t, columns, rows)
}

// prepare makes a Set without targets of the given rows of the grid.
func (p *Prep) prepare(t *Table, columns, rows []int) (*Set, error) {
	if len(rows) == 0 {
		return nil, t.noRows()
	}
	if len(rows) > math.MaxInt/4/p.Inputs {
		return nil, t.errorf("", "%d rows of %d numbers are more than this machine can address", len(rows), p.Inputs)
	}
	s := &Set{Rows: len(rows), Inputs: p.Inputs, Outputs: p.Outputs, Labels: p.Labels(), origin: t.origin(rows)}
	if x, ok := p.asTheyAre(t, columns, rows); ok {
		s.X = x
		return s, nil
	}
	s.X = make([]float32, len(rows)*p.Inputs)
	a := newApplying(p, t, columns)
	for i, r := range rows {
		if err := a.row(r, s.X[i*p.Inputs:][:p.Inputs]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// asTheyAre returns the table's own memory where it holds exactly what the
// network takes: float32, all rows, all columns in order, no scale, no value
// missing or infinite.
func (p *Prep) asTheyAre(t *Table, columns, rows []int) ([]float32, bool) {
	g, is := t.x.(*numeric[float32])
	if !is || t.rows != nil || len(rows) != g.rows || len(columns) != g.columns {
		return nil, false
	}
	for i, c := range columns {
		f := &p.Features[i]
		if c != i || f.categorical() || f.Offset != 0 || f.Divisor != 1 {
			return nil, false
		}
	}
	for _, v := range g.data {
		if v-v != 0 { // NaN and infinity
			return nil, false
		}
	}
	return g.data, true
}

// applying prepares row after row.
type applying struct {
	p       *Prep
	t       *Table
	columns []int // of the features
	offsets []int // where the inputs of a feature start

	numbers       []int // which features are numbers
	numberColumns []int
	cells         []float64
}

func newApplying(p *Prep, t *Table, columns []int) *applying {
	a := &applying{p: p, t: t, columns: columns, offsets: make([]int, len(columns))}
	next := 0
	for i := range p.Features {
		a.offsets[i] = next
		next += p.Features[i].width()
		if !p.Features[i].categorical() {
			a.numbers = append(a.numbers, i)
			a.numberColumns = append(a.numberColumns, columns[i])
		}
	}
	a.cells = make([]float64, len(a.numbers))
	return a
}

// row prepares row r of the grid. dst holds zeros.
func (a *applying) row(r int, dst []float32) error {
	if bad, err := a.t.x.numbers(r, a.numberColumns, a.cells); err != nil {
		return a.t.notNumber(err, a.numberColumns[bad])
	}
	for k, i := range a.numbers {
		f := &a.p.Features[i]
		v := a.cells[k]
		x := f.input(v)
		if x-x != 0 {
			if v != v {
				return a.t.missingCell(r, a.columns[i])
			}
			e := a.t.x.at(r, a.columns[i], fmt.Sprintf("is %v, which is too large for 32 bits after scaling", v))
			return a.t.notNumber(e, a.columns[i])
		}
		dst[a.offsets[i]] = x
	}
	if len(a.numbers) == len(a.columns) {
		return nil
	}
	for i := range a.p.Features {
		if f := &a.p.Features[i]; f.categorical() {
			c, err := a.category(f, r, a.columns[i])
			if err != nil {
				return err
			}
			if c >= 0 {
				dst[a.offsets[i]+c] = 1
			}
		}
	}
	return nil
}

// category returns the number of a cell's category, or −1 for none.
func (a *applying) category(f *Feature, row, column int) (int, error) {
	if a.t.x.missing(row, column) {
		if f.FillCategory == nil {
			return 0, a.t.missingCell(row, column)
		}
		return *f.FillCategory, nil
	}
	s := a.t.x.text(row, column)
	c, found := f.index(s)
	if !found {
		e := a.t.notNumber(a.t.x.at(row, column, fmt.Sprintf("is %s, a category that no training row has", clip(s))), column)
		e.Hint = "the categories are " + listOf(f.Categories)
		return 0, e
	}
	return c, nil
}
