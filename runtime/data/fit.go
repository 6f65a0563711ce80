package data

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/wording"
)

// Fit learns the preparation that n declares from the training rows t: the
// categories, the scale, what fills missing values, the class labels. It checks
// that a prepared row has n.Inputs numbers and that the targets suit n.Outputs.
func Fit(t *Table, n *engine.Network) (*Prep, error) {
	f, err := fit(t, n.Data)
	if err != nil {
		return nil, err
	}
	if err := f.scale(n.Data.Scale); err != nil {
		return nil, err
	}
	_, columns := t.x.size()
	p := &Prep{
		Version:  prepVersion,
		Inputs:   f.inputs(),
		Outputs:  n.Outputs,
		Features: f.features,
		Columns:  columns,
		Drop:     f.missing.Kind == "drop",
	}
	if p.Inputs != n.Inputs {
		return nil, t.errorf(f.widthHint(p.Inputs-n.Inputs, n), "the features make %s, but the network %s takes %d",
			wording.Count(p.Inputs, "input"), n.Name, n.Inputs)
	}
	p.Target, err = f.learnTarget(n)
	return p, err
}

// Width tells what a compiler needs to know of the training rows t: how many
// inputs they make when they are prepared as d declares, how many classes their
// targets tell of, and how many rows stay. classes is 0 where the targets are
// not class labels. A share that d.Test splits off is to be split off before,
// for a category that stands only in test rows makes no input.
func Width(t *Table, d engine.Data) (inputs, classes, rows int, err error) {
	f, err := fit(t, d)
	if err != nil {
		return 0, 0, 0, err
	}
	classes, err = f.countClasses()
	if err != nil {
		return 0, 0, 0, err
	}
	return f.inputs(), classes, len(f.rows), nil
}

// Complete looks for a cell of t that is missing where the preparation that d
// declares neither fills it nor drops its row, or a feature that is no number. The
// error is about the first feature, or else the first target.
func Complete(t *Table, d engine.Data) error {
	f, err := fit(t, d)
	if err != nil {
		return err
	}
	if _, err := f.statistics(f.fills()); err != nil {
		return err
	}
	targets := t.targetsAt(f.target)
	for _, r := range f.rows {
		for _, c := range targets.columns {
			if targets.g.missing(r, c) {
				return targets.missing(r, c)
			}
		}
	}
	return nil
}

// fitting is the state of a fit.
type fitting struct {
	t        *Table
	missing  engine.Missing
	features []Feature
	target   int   // column, or −1
	rows     []int // of the grids, without those dropped
	numbers  []int // which features are numbers
	columns  []int // their columns
}

// fit chooses the columns and the rows, and learns the categories and what
// fills missing values: all but the scale.
func fit(t *Table, d engine.Data) (*fitting, error) {
	features, target, err := t.plan(d)
	if err != nil {
		return nil, err
	}
	f := &fitting{t: t, missing: d.Missing, features: features, target: target}
	for i := range features {
		if !features[i].categorical() {
			f.numbers = append(f.numbers, i)
			f.columns = append(f.columns, features[i].Column)
		}
	}
	if err := f.chooseRows(); err != nil {
		return nil, err
	}
	for i := range features {
		if features[i].categorical() {
			if err := f.learnCategories(&features[i]); err != nil {
				return nil, err
			}
		}
	}
	return f, f.learnFills()
}

func (f *fitting) inputs() int {
	n := 0
	for i := range f.features {
		n += f.features[i].width()
	}
	return n
}

// widthHint says what to do about features that make so many inputs too many. One
// for each target but the last is the mark of several targets in a table of text.
func (f *fitting) widthHint(over int, n *engine.Network) string {
	if over > 0 && over == n.Outputs-1 && !n.Classes && f.t.targetsAt(f.target).isText() {
		return severalTargets
	}
	if len(f.numbers) == len(f.features) {
		return "set input: to the number of features, or choose columns under data: features:"
	}
	return "each category of a categorical column makes one input"
}

// chooseRows keeps the rows in which nothing is missing, where the spec says
// `missing: drop`, and all rows elsewhere.
func (f *fitting) chooseRows() error {
	f.rows = make([]int, 0, f.t.Rows())
	check := newMissingCheck(f.t, f.features, f.target)
	for i := range f.t.Rows() {
		r := f.t.row(i)
		if f.missing.Kind == "drop" {
			missing, err := check.any(r)
			if err != nil {
				return err
			}
			if missing {
				continue
			}
		}
		f.rows = append(f.rows, r)
	}
	if len(f.rows) == 0 {
		return f.t.noRows()
	}
	return nil
}

// learnCategories collects the categories of a column, sorted.
func (f *fitting) learnCategories(feature *Feature) error {
	count := map[string]int{}
	firstMissing := -1
	for _, r := range f.rows {
		if !f.t.x.missing(r, feature.Column) {
			count[f.t.x.text(r, feature.Column)]++
		} else if firstMissing < 0 {
			firstMissing = r
		}
	}
	feature.Categories = slices.Sorted(maps.Keys(count))
	if len(count) == 0 {
		return f.t.errorf("leave it out of features:", "the categorical column %s has only missing values",
			clip(f.t.column(feature.Column)))
	}
	switch f.missing.Kind {
	case "mean", "median":
		// Categories have neither; the most frequent one is the nearest thing.
		most := 0
		for i, s := range feature.Categories {
			if count[s] > count[feature.Categories[most]] {
				most = i
			}
		}
		feature.FillCategory = &most
	case "const":
		none := -1
		feature.FillCategory = &none
	case "drop":
	default:
		if firstMissing >= 0 {
			return f.t.missingCell(firstMissing, feature.Column)
		}
	}
	return nil
}

// learnFills finds what takes the place of missing numbers.
func (f *fitting) learnFills() error {
	fills := make([]float64, len(f.numbers))
	switch f.missing.Kind {
	case "const":
		for i := range fills {
			fills[i] = f.missing.Value
		}
	case "mean":
		s, err := f.statistics(nil)
		if err != nil {
			return err
		}
		for i, c := range s {
			if c.count == 0 {
				return f.allMissing(i)
			}
			fills[i] = c.mean
		}
	case "median":
		for i := range fills {
			var err error
			if fills[i], err = f.median(i); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	for i, feature := range f.numbers {
		f.features[feature].Fill = &fills[i]
	}
	return nil
}

// fills lists what takes the place of missing numbers, nil where nothing does.
func (f *fitting) fills() []*float64 {
	list := make([]*float64, len(f.numbers))
	for i, feature := range f.numbers {
		list[i] = f.features[feature].Fill
	}
	return list
}

func (f *fitting) allMissing(i int) *Error {
	return f.t.errorf("leave it out of features:", "the column %s has only missing values", clip(f.t.column(f.columns[i])))
}

// median returns the median of number column i: the mean of the two middle
// values where their count is even.
func (f *fitting) median(i int) (float64, error) {
	values := make([]float64, 0, len(f.rows))
	var cell [1]float64
	for _, r := range f.rows {
		if _, err := f.t.x.numbers(r, f.columns[i:i+1], cell[:]); err != nil {
			return 0, f.t.notNumber(err, f.columns[i])
		}
		if !math.IsNaN(cell[0]) {
			values = append(values, cell[0])
		}
	}
	if len(values) == 0 {
		return 0, f.allMissing(i)
	}
	slices.Sort(values)
	low, high := values[(len(values)-1)/2], values[len(values)/2]
	return low + (high-low)/2, nil
}

// statistic is what a column of numbers is scaled by.
type statistic struct {
	count          int
	mean, squares  float64 // squares: sum of (value − mean)²
	least, largest float64
}

// statistics goes once over the numbers of all rows. fill takes the place of
// missing ones; where it is nil, they are left out.
func (f *fitting) statistics(fill []*float64) ([]statistic, error) {
	all := make([]statistic, len(f.columns))
	cells := make([]float64, len(f.columns))
	for _, r := range f.rows {
		if bad, err := f.t.x.numbers(r, f.columns, cells); err != nil {
			return nil, f.t.notNumber(err, f.columns[bad])
		}
		for i, v := range cells {
			if math.IsNaN(v) {
				if fill == nil {
					continue
				}
				if fill[i] == nil {
					return nil, f.t.missingCell(r, f.columns[i])
				}
				v = *fill[i]
			}
			all[i].add(v)
		}
	}
	return all, nil
}

// add is Welford's update, which keeps its digits where the mean is large
// against the deviation. The conversion keeps a compiler from fusing the product
// into the sum, which would give other bits on other machines.
func (s *statistic) add(v float64) {
	if s.count == 0 {
		s.least, s.largest = v, v
	}
	s.count++
	s.least, s.largest = min(s.least, v), max(s.largest, v)
	before := v - s.mean
	s.mean += before / float64(s.count)
	s.squares += float64(before * (v - s.mean))
}

// scale learns offsets and divisors. The deviation is that of the population;
// a constant column is divided by 1. Categories are not scaled.
func (f *fitting) scale(scale engine.Scale) error {
	var stats []statistic
	if scale.Kind == "standardize" || scale.Kind == "minmax" {
		var err error
		if stats, err = f.statistics(f.fills()); err != nil {
			return err
		}
	}
	for i, feature := range f.numbers {
		column := &f.features[feature]
		switch scale.Kind {
		case "standardize":
			column.Offset = stats[i].mean
			column.Divisor = math.Sqrt(stats[i].squares / float64(stats[i].count))
		case "minmax":
			column.Offset = stats[i].least
			column.Divisor = stats[i].largest - stats[i].least
		case "divide":
			column.Divisor = scale.Factor
		}
		if stats != nil && (stats[i].least == stats[i].largest || column.Divisor == 0) {
			column.Divisor = 1
		}
		if err := column.check(); err != nil {
			return f.t.errorf("choose another scale, or leave the column out",
				"the column %s cannot be scaled: %v", clip(f.t.column(column.Column)), err)
		}
	}
	return nil
}

// missingCell is the error about a missing value that nothing fills.
func (t *Table) missingCell(row, column int) *Error {
	e := t.x.at(row, column, "is missing")
	if t.names != nil {
		e.Msg += fmt.Sprintf(" (column %s)", clip(t.names[column]))
	}
	e.Hint = "missing: under data: can drop such rows, or fill them by mean, median or {const: 0}"
	return e
}

// notNumber completes the error about a cell with the name of its column.
func (t *Table) notNumber(e *Error, column int) *Error {
	if t.names != nil {
		e.Msg += fmt.Sprintf(" (column %s)", clip(t.names[column]))
	}
	return e
}
