// Package simd holds what emitted vector code needs of its host: which
// instruction sets are here, what their units can do at most, and the copying of
// parameters between PyTorch's layouts and panels of 16 lanes.
package simd

import (
	"fmt"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// MissingAVX2 says why AVX2 kernels cannot run here; nil where they can.
func MissingAVX2() error { return missing("AVX2 and FMA", cpuid.AVX2, cpuid.FMA3) }

// MissingAVX512 says why AVX-512 kernels cannot run here; nil where they can.
func MissingAVX512() error {
	return missing("AVX-512 F, DQ, BW and VL", cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX2, cpuid.FMA3)
}

func missing(what string, features ...cpuid.FeatureID) error {
	var absent []string
	for _, f := range features {
		if !cpuid.CPU.Has(f) {
			absent = append(absent, f.String())
		}
	}
	if absent == nil {
		return nil
	}
	return fmt.Errorf("needs %s; this CPU (%s) lacks %s", what, cpuid.CPU.BrandName, strings.Join(absent, ", "))
}

// Lanes is the width of a panel.
const Lanes = 16

// Layout says which column stands in each lane of panels of 16. With Pairs 0,
// panel p holds columns 16p to 16p+15. With each pair, what one column was
// becomes two, 2c and 2c+1, in the same lane of two neighbouring panels: gated
// activations take their columns so.
type Layout struct{ Width, Pairs int }

// Panels returns the number of panels.
func (l Layout) Panels() int {
	return (l.Width>>l.Pairs + Lanes - 1) / Lanes << l.Pairs
}

// Column returns the column in a lane of a panel; -1 for padding.
func (l Layout) Column(panel, lane int) int {
	c := panel>>l.Pairs*Lanes + lane
	if c >= l.Width>>l.Pairs {
		return -1
	}
	for k := l.Pairs - 1; k >= 0; k-- {
		c = 2*c + panel>>k&1
	}
	return c
}

// place returns where a column stands: the inverse of Column.
func (l Layout) place(column int) (panel, lane int) {
	pair := column >> l.Pairs
	return pair/Lanes<<l.Pairs | column&(1<<l.Pairs-1), pair % Lanes
}

// Tensor says where a parameter [Width, In], or [Width] with In 1, lies in a
// run of float32: panels of [InPad][16] from Offset on.
type Tensor struct {
	Layout
	In, InPad, Offset int
}

// Size returns the number of elements, without padding.
func (t Tensor) Size() int { return t.Width * t.In }

// Pack copies values, the elements of a tensor, row-major, from first on, to
// their places in all.
func (t Tensor) Pack(all []float32, first int, values []float32) {
	t.runs(first, len(values), func(at, lo, hi int) {
		for _, v := range values[lo:hi] {
			all[at] = v
			at += Lanes
		}
	})
}

// Unpack copies the elements of a tensor, row-major, from first on, to values
// from their places in all.
func (t Tensor) Unpack(values, all []float32, first int) {
	t.runs(first, len(values), func(at, lo, hi int) {
		run := values[lo:hi]
		for i := range run {
			run[i] = all[at]
			at += Lanes
		}
	})
}

// runs cuts count elements, row-major, from first on at the ends of columns, and
// calls visit with the place of each run and its bounds, counted from first.
func (t Tensor) runs(first, count int, visit func(at, lo, hi int)) {
	if first < 0 || count > t.Size()-first {
		panic(fmt.Sprintf("simd: elements %d to %d of a tensor of %d", first, first+count, t.Size()))
	}
	for lo := 0; lo < count; {
		column, i := (first+lo)/t.In, (first+lo)%t.In
		hi := min(lo+t.In-i, count)
		panel, lane := t.place(column)
		visit(t.Offset+(panel*t.InPad+i)*Lanes+lane, lo, hi)
		lo = hi
	}
}

// ClearPadding zeroes the lanes that belong to no column, and the rows behind the
// last input.
func (t Tensor) ClearPadding(all []float32) {
	for p := range t.Panels() {
		for lane := range Lanes {
			first := t.In // of the rows to clear
			if t.Column(p, lane) < 0 {
				first = 0
			}
			for i := first; i < t.InPad; i++ {
				all[t.Offset+(p*t.InPad+i)*Lanes+lane] = 0
			}
		}
	}
}

// Block copies rows [rows, Width] into panels that each hold capacity rows.
func (l Layout) Block(blocked, flat []float32, rows, capacity int) {
	for p := range l.Panels() {
		for lane := range Lanes {
			c := l.Column(p, lane)
			for r := range rows {
				v := float32(0)
				if c >= 0 {
					v = flat[r*l.Width+c]
				}
				blocked[(p*capacity+r)*Lanes+lane] = v
			}
		}
	}
}

// Fold adds partial sums parts [panels][16] in a fixed order and leaves their
// sum in the first place of sums [16], zeros in the others.
func Fold(sums, parts []float32) {
	sums = sums[:Lanes]
	clear(sums)
	for i, v := range parts {
		sums[i%Lanes] += v
	}
	for half := Lanes / 2; half > 0; half /= 2 {
		for i := range half {
			sums[i] += sums[i+half]
			sums[i+half] = 0
		}
	}
}
