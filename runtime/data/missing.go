package data

import "math"

// missingCheck finds rows in which a value is missing. It looks at the features
// and, where there is a target, at that.
type missingCheck struct {
	t       *Table
	numbers []int // columns
	texts   []int
	cells   []float64
	target  int // column, −1 where targets are apart
}

// newMissingCheck looks at the columns of a fit; column i belongs to
// features[i].
func newMissingCheck(t *Table, features []Feature, target int) *missingCheck {
	columns := make([]int, len(features))
	for i := range features {
		columns[i] = features[i].Column
	}
	return newMissingCheckAt(t, features, columns, target)
}

// newMissingCheckAt looks for features in the given columns.
func newMissingCheckAt(t *Table, features []Feature, columns []int, target int) *missingCheck {
	m := &missingCheck{t: t, target: target}
	for i := range features {
		if features[i].categorical() {
			m.texts = append(m.texts, columns[i])
		} else {
			m.numbers = append(m.numbers, columns[i])
		}
	}
	m.cells = make([]float64, len(m.numbers))
	return m
}

// any tells whether a value is missing in a row of the grids. A row that lacks
// one is dropped whatever its other cells hold, but a cell that is no number is
// an error in each row.
func (m *missingCheck) any(row int) (bool, error) {
	if bad, err := m.t.x.numbers(row, m.numbers, m.cells); err != nil {
		return false, m.t.notNumber(err, m.numbers[bad])
	}
	for _, v := range m.cells {
		if math.IsNaN(v) {
			return true, nil
		}
	}
	for _, c := range m.texts {
		if m.t.x.missing(row, c) {
			return true, nil
		}
	}
	return m.targetMissing(row), nil
}

func (m *missingCheck) targetMissing(row int) bool {
	if m.target >= 0 {
		return m.t.x.missing(row, m.target)
	}
	if m.t.y == nil {
		return false
	}
	_, width := m.t.y.size()
	for c := range width {
		if m.t.y.missing(row, c) {
			return true
		}
	}
	return false
}
