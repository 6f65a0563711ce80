package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Prep is a preparation as Fit learned it. It travels with the model as JSON,
// so that raw rows can be prepared where the model is used. Nothing changes a
// Prep once it is there.
type Prep struct {
	Version  int       `json:"version"` // of this description
	Inputs   int       `json:"inputs"`  // width of a prepared row
	Outputs  int       `json:"outputs"` // of the network
	Features []Feature `json:"features"`
	Columns  int       `json:"columns"` // of the source that Fit saw, the target among them
	Target   Target    `json:"target"`
	// Drop says that rows with a missing value are left out. Otherwise missing
	// numbers take their feature's Fill, or are an error.
	Drop bool `json:"drop,omitempty"`
}

// Feature is one column of the source and what becomes of it: one input for a
// number, (value − Offset) / Divisor, or one input for each category, 1 where
// the row is of it and 0 elsewhere.
type Feature struct {
	Name       string   `json:"name,omitempty"` // empty where the source has no names
	Column     int      `json:"column"`         // from 0, in the source that Fit saw
	Categories []string `json:"categories,omitempty"`
	Offset     float64  `json:"offset,omitempty"`
	Divisor    float64  `json:"divisor,omitempty"` // 0 for categories
	Fill       *float64 `json:"fill,omitempty"`    // in place of a missing number, before scaling
	// FillCategory takes the place of a missing category; −1 means none, so
	// that all inputs of the feature are 0. nil: a missing one is an error.
	FillCategory *int `json:"fill_category,omitempty"`
}

// Target says where targets stand and how they are read.
type Target struct {
	Name   string `json:"name,omitempty"`
	Column int    `json:"column"` // −1 where the targets are no column of the source
	Kind   string `json:"kind"`   // "classes": indices; "values": numbers; "unit": numbers from 0 to 1
	// Labels are the names of the classes 0, 1, …, or nil.
	Labels []string `json:"labels,omitempty"`
	// Text says that the source's cells hold Labels. Otherwise they hold the
	// classes' numbers, and Labels only name them.
	Text bool `json:"text,omitempty"`
}

// Kinds of targets.
const (
	classTarget = "classes"
	valueTarget = "values"
	unitTarget  = "unit"
)

const prepVersion = 1

func (f *Feature) categorical() bool { return f.Divisor == 0 }

// width is the number of inputs that the feature makes.
func (f *Feature) width() int {
	if f.categorical() {
		return len(f.Categories)
	}
	return 1
}

// UnmarshalJSON reads a Prep and refuses one that could not have come from Fit,
// so that a damaged model file does no harm later.
func (p *Prep) UnmarshalJSON(b []byte) error {
	type plain Prep // without this method
	var read plain
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		return fmt.Errorf("preparation: %w", err)
	}
	*p = Prep(read)
	if err := p.check(); err != nil {
		return fmt.Errorf("preparation: %w", err)
	}
	return nil
}

func (p *Prep) check() error {
	if p.Version != prepVersion {
		return fmt.Errorf("version %d is unknown; this program reads %d", p.Version, prepVersion)
	}
	width := 0
	for i := range p.Features {
		f := &p.Features[i]
		if err := f.check(); err != nil {
			return fmt.Errorf("feature %d: %w", i, err)
		}
		if f.Column < 0 || f.Column >= p.Columns || f.Column == p.Target.Column {
			return fmt.Errorf("feature %d: column %d is out of place", i, f.Column)
		}
		width += f.width()
	}
	if width == 0 || width != p.Inputs {
		return fmt.Errorf("the features make %d inputs, not %d", width, p.Inputs)
	}
	return p.Target.check(p.Columns, p.Outputs)
}

func (f *Feature) check() error {
	if !f.categorical() {
		for _, v := range []float64{f.Offset, f.Divisor} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return errors.New("the scale is not finite")
			}
		}
		if f.Categories != nil || f.FillCategory != nil {
			return errors.New("a number has categories")
		}
		return nil
	}
	if len(f.Categories) == 0 || f.Offset != 0 || f.Fill != nil {
		return errors.New("neither a scale nor categories")
	}
	if !sortedUnique(f.Categories) {
		return errors.New("the categories are not in order")
	}
	if c := f.FillCategory; c != nil && (*c < -1 || *c >= len(f.Categories)) {
		return errors.New("the fill is not one of the categories")
	}
	return nil
}

func (t *Target) check(columns, outputs int) error {
	if t.Column < -1 || t.Column >= columns {
		return fmt.Errorf("target column %d is out of place", t.Column)
	}
	if outputs < 1 {
		return fmt.Errorf("%d outputs", outputs)
	}
	most := outputs
	switch t.Kind {
	case classTarget:
	case unitTarget:
		most = 2
	case valueTarget:
		most = 0
	default:
		return fmt.Errorf("the kind of target %q is unknown", t.Kind)
	}
	if len(t.Labels) > most {
		return fmt.Errorf("%d class labels for %d outputs", len(t.Labels), outputs)
	}
	if t.Text && (len(t.Labels) == 0 || !sortedUnique(t.Labels)) {
		return errors.New("the class labels are not in order")
	}
	return nil
}

func sortedUnique(s []string) bool {
	for i := 1; i < len(s); i++ {
		if s[i-1] >= s[i] {
			return false
		}
	}
	return true
}

// Labels returns the names of the classes 0, 1, …, or nil where they have none.
func (p *Prep) Labels() []string { return slices.Clone(p.Target.Labels) }
