// Package simd holds what emitted vector code needs of its host: which
// instruction sets are here, and the copying of parameters between PyTorch's
// layouts and panels of 16 lanes.
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

// Tensor says where a parameter [Width, In], or [Width] with In 1, lies in a
// run of float32: panels of [InPad][16] from Offset on.
type Tensor struct {
	Layout
	In, InPad, Offset int
}

// Size returns the number of elements, without padding.
func (t Tensor) Size() int { return t.Width * t.In }

// Pack copies a tensor, row-major, to its place in all.
func (t Tensor) Pack(all, tensor []float32) {
	tensor = tensor[:t.Size()]
	t.lanes(func(at, column int) {
		for i := range t.In {
			if column >= 0 {
				all[at+i*Lanes] = tensor[column*t.In+i]
			} else {
				all[at+i*Lanes] = 0
			}
		}
	})
}

// Unpack copies a tensor, row-major, from its place in all.
func (t Tensor) Unpack(tensor, all []float32) {
	tensor = tensor[:t.Size()]
	t.lanes(func(at, column int) {
		if column < 0 {
			return
		}
		for i := range t.In {
			tensor[column*t.In+i] = all[at+i*Lanes]
		}
	})
}

// ClearPadding zeroes the lanes that belong to no column.
func (t Tensor) ClearPadding(all []float32) {
	t.lanes(func(at, column int) {
		if column >= 0 {
			return
		}
		for i := range t.In {
			all[at+i*Lanes] = 0
		}
	})
}

// lanes calls visit with each lane's first place and column.
func (t Tensor) lanes(visit func(at, column int)) {
	for p := range t.Panels() {
		for lane := range Lanes {
			visit(t.Offset+p*t.InPad*Lanes+lane, t.Column(p, lane))
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
