package data

import (
	"fmt"
	"math"
	"slices"

	"github.com/dnngen/dnngen/runtime/wording"
)

// Cell is one feature of a row in memory: a number or a category.
type Cell struct {
	number float64
	text   string
	isText bool
}

// Number is the cell of a number; NaN says that it is missing.
func Number(v float64) Cell { return Cell{number: v} }

// Category is the cell of a categorical feature; "" says that it is missing.
func Category(s string) Cell { return Cell{text: s, isText: true} }

// input returns what a number becomes; v NaN is a missing one. The result is
// not finite where nothing fills a missing number, and where a number is too
// large for 32 bits.
func (f *Feature) input(v float64) float32 {
	if v != v && f.Fill != nil {
		v = *f.Fill
	}
	return float32((v - f.Offset) / f.Divisor)
}

// index returns the place of a category among those of the training rows.
func (f *Feature) index(category string) (int, bool) {
	return slices.BinarySearch(f.Categories, category)
}

// Categorical tells whether one feature or more makes an input for each of its
// categories.
func (p *Prep) Categorical() bool {
	return slices.ContainsFunc(p.Features, func(f Feature) bool { return f.categorical() })
}

// Plain tells whether prepared rows are the rows themselves: numbers that
// nothing scales and nothing fills.
func (p *Prep) Plain() bool {
	return !slices.ContainsFunc(p.Features, func(f Feature) bool {
		return f.categorical() || f.Offset != 0 || f.Divisor != 1 || f.Fill != nil
	})
}

// Numbers prepares rows of numbers, src [rows, Inputs] to dst of the same
// shape, as Rows does. NaN is a missing number. What cannot be prepared, because
// it is missing and nothing fills it or too large for 32 bits, is not finite in
// dst. It panics where the preparation is Categorical.
func (p *Prep) Numbers(dst, src []float32) {
	for len(src) >= p.Inputs {
		for i := range p.Features {
			dst[i] = p.Features[i].input(float64(src[i]))
		}
		dst, src = dst[p.Inputs:], src[p.Inputs:]
	}
}

// Row prepares one row, a cell for each feature in order, to dst [Inputs], as
// Rows does. Its errors are of type *Error.
func (p *Prep) Row(dst []float32, row []Cell) error {
	if len(row) != len(p.Features) {
		return &Error{File: "row", Msg: fmt.Sprintf("has %s, but the network was trained on %d", wording.Count(len(row), "feature"), len(p.Features))}
	}
	clear(dst[:p.Inputs])
	for i := range p.Features {
		f := &p.Features[i]
		if row[i].isText != f.categorical() {
			return p.wrong(i, "", "is a %s, but the network was trained on a %s", kindOf(row[i].isText), kindOf(f.categorical()))
		}
		if err := p.cell(i, dst[:f.width()], row[i]); err != nil {
			return err
		}
		dst = dst[f.width():]
	}
	return nil
}

// cell prepares feature i. dst holds zeros.
func (p *Prep) cell(i int, dst []float32, c Cell) error {
	f := &p.Features[i]
	if !f.categorical() {
		dst[0] = f.input(c.number)
		switch {
		case dst[0]-dst[0] == 0:
			return nil
		case math.IsNaN(c.number):
			return p.wrong(i, "", "is missing")
		}
		return p.wrong(i, "", "is %v, which is too large for 32 bits after scaling", c.number)
	}
	if c.text == "" {
		if f.FillCategory == nil {
			return p.wrong(i, "", "is missing")
		}
		if *f.FillCategory >= 0 {
			dst[*f.FillCategory] = 1
		}
		return nil
	}
	k, found := f.index(c.text)
	if !found {
		return p.wrong(i, "the categories are "+listOf(f.Categories), "is %s, a category that no training row has", clip(c.text))
	}
	dst[k] = 1
	return nil
}

// wrong makes an error about feature i of a row in memory.
func (p *Prep) wrong(i int, hint, format string, args ...any) *Error {
	name := fmt.Sprintf("feature %d", i)
	if p.Features[i].Name != "" {
		name = "feature " + clip(p.Features[i].Name)
	}
	return &Error{File: "row", Msg: name + " " + fmt.Sprintf(format, args...), Hint: hint}
}

func kindOf(text bool) string {
	if text {
		return "category"
	}
	return "number"
}
