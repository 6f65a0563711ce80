package data

import (
	"fmt"
	"strconv"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/wording"
)

// find returns the column of a name, or of a number from 0 that is no name.
// It returns −1 where there is none.
func (t *Table) find(name string) int {
	for c, have := range t.names {
		if have == name {
			return c
		}
	}
	if c, err := strconv.Atoi(name); err == nil && strconv.Itoa(c) == name {
		if _, columns := t.x.size(); 0 <= c && c < columns {
			return c
		}
	}
	return -1
}

// noColumn is the error that a column is not there.
func (t *Table) noColumn(what, name string) *Error {
	_, columns := t.x.size()
	if t.names == nil {
		hint := fmt.Sprintf("the source has no header; its %d columns are called 0 to %d", columns, columns-1)
		if columns == 1 {
			hint = "the source has no header; its only column is called 0"
		}
		if g, is := t.x.(*text); is && g.unnamed >= 0 && g.inFirstRow(name) {
			hint = g.whyRow()
		}
		return t.errorf(hint, "there is no column %q for the %s", name, what)
	}
	hint := didYouMean(name, t.names)
	if hint == "" {
		hint = "the columns are " + listOf(t.names)
	}
	e := t.errorf(hint, "there is no column %q for the %s", name, what)
	if g, isText := t.x.(*text); isText {
		e.Line, e.Col = g.headerLine, 1
	}
	return e
}

// listOf joins names for a message, and leaves out what is too much to read.
func listOf(names []string) string {
	const most = 20
	s := ""
	for i, name := range names {
		if i == most {
			return s + fmt.Sprintf(" and %d more", len(names)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += clip(name)
	}
	return s
}

// targetColumn returns the column that holds the target, or −1 where the source
// keeps its targets apart. asked is the column that the spec names; a source
// that was opened with a column of its own goes first.
func (t *Table) targetColumn(asked string) (int, error) {
	_, columns := t.x.size()
	name := t.target
	if name == "" {
		name = asked
	}
	switch {
	case t.y != nil:
		return -1, nil
	case t.bare():
		return 0, t.errorf("an .npz file with x and y, or a table with a target column", "there are no targets")
	case name == "" && t.usual != "":
		name = t.usual
	case name == "":
		return columns - 1, nil
	}
	if c := t.find(name); c >= 0 {
		return c, nil
	}
	return 0, t.noColumn("target", name)
}

// Targets tells how many targets a row of t has, where d names their column.
func Targets(t *Table, d engine.Data) (int, error) {
	column, err := t.targetColumn(d.Target)
	if err != nil {
		return 0, err
	}
	return len(t.targetsAt(column).columns), nil
}

// bare tells whether the table is of numbers without names and without targets,
// as .npy gives them: then its last column is no target.
func (t *Table) bare() bool {
	_, isText := t.x.(*text)
	return t.y == nil && t.names == nil && !isText
}

// plan chooses features and target of a source for the first time.
func (t *Table) plan(d engine.Data) (features []Feature, target int, err error) {
	target, err = t.targetColumn(d.Target)
	if err != nil {
		return nil, 0, err
	}
	columns, err := t.featureColumns(d.Features, target)
	if err != nil {
		return nil, 0, err
	}
	features = make([]Feature, len(columns))
	at := map[int]int{} // column to feature
	for i, c := range columns {
		if _, twice := at[c]; twice {
			return nil, 0, t.errorf("", "the column %s is named twice among the features", clip(t.column(c)))
		}
		at[c] = i
		features[i] = Feature{Column: c, Divisor: 1}
		if t.names != nil {
			features[i].Name = t.names[c]
		}
	}
	for _, name := range d.Categorical {
		c := t.find(name)
		if c < 0 {
			return nil, 0, t.noColumn("categories", name)
		}
		i, found := at[c]
		if !found {
			return nil, 0, t.errorf("list it under features: too, or take it out of categorical:",
				"the categorical column %s is not a feature", clip(name))
		}
		features[i].Divisor = 0
	}
	return features, target, nil
}

// featureColumns resolves the names of features. No names mean all columns but
// the target.
func (t *Table) featureColumns(names []string, target int) ([]int, error) {
	_, columns := t.x.size()
	if len(names) == 0 {
		all := make([]int, 0, columns)
		for c := range columns {
			if c != target {
				all = append(all, c)
			}
		}
		if len(all) == 0 {
			return nil, t.errorf("a source needs a column for the target and one or more for the features",
				"the only column is the target")
		}
		return all, nil
	}
	chosen := make([]int, len(names))
	for i, name := range names {
		c := t.find(name)
		if c < 0 {
			return nil, t.noColumn("features", name)
		}
		if c == target {
			return nil, t.errorf("take it out of features:", "the column %s is the target and a feature", clip(name))
		}
		chosen[i] = c
	}
	return chosen, nil
}

// locate finds the columns of a fitted preparation in a source: by name where
// both have names, otherwise by place. A source without names may have all
// columns that Fit saw, or these without the target, or the features alone.
func (p *Prep) locate(t *Table) ([]int, error) {
	columns := make([]int, len(p.Features))
	if t.names != nil && p.named() {
		for i := range p.Features {
			if columns[i] = t.find(p.Features[i].Name); columns[i] < 0 {
				return nil, t.noColumn("features", p.Features[i].Name)
			}
		}
		return columns, nil
	}
	_, width := t.x.size()
	target := p.Target.Column
	switch {
	case width == p.Columns:
		for i := range p.Features {
			columns[i] = p.Features[i].Column
		}
	case target >= 0 && width == p.Columns-1:
		for i := range p.Features {
			columns[i] = p.Features[i].Column
			if columns[i] > target {
				columns[i]--
			}
		}
	case width == len(p.Features):
		for i := range columns {
			columns[i] = i
		}
	case p.Columns == len(p.Features) && width == p.Columns+1 && t.y == nil:
		// Fit saw targets apart from the columns; here they are one of them.
		c, err := t.targetColumn("")
		if err != nil {
			return nil, t.wrongWidth(width, len(p.Features))
		}
		for i := range columns {
			columns[i] = i
			if i >= c {
				columns[i]++
			}
		}
	default:
		return nil, t.wrongWidth(width, len(p.Features))
	}
	return columns, nil
}

func (t *Table) wrongWidth(width, features int) *Error {
	return t.errorf("give the columns that the network was trained on, in the same order",
		"a row has %s, but the network takes %s", wording.Count(width, "column"), wording.Count(features, "feature"))
}

// named tells whether the features were fitted by name.
func (p *Prep) named() bool { return p.Features[0].Name != "" }

// locateTarget finds the target of a fitted preparation in a source that must
// have it; −1 means that the source keeps it apart.
func (p *Prep) locateTarget(t *Table) (int, error) {
	_, width := t.x.size()
	switch {
	case t.target != "" || t.y != nil || t.bare():
		return t.targetColumn("")
	case t.names != nil && p.Target.Name != "":
		if c := t.find(p.Target.Name); c >= 0 {
			return c, nil
		}
		return 0, t.noColumn("target", p.Target.Name)
	case p.Target.Column >= 0 && width == p.Columns:
		return p.Target.Column, nil
	case p.Target.Column < 0 && width == p.Columns+1:
		return t.targetColumn("")
	}
	return 0, t.errorf("a test set needs the target column that the training set has", "there are no targets")
}
