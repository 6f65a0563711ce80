package chart

import (
	"math"
	"strconv"
)

// axis maps values to the range 0 to 1.
type axis struct {
	lo, hi float64 // in the axis's own measure: the logarithm where log is set
	log    bool
	ticks  []float64
}

// at returns the place of a value on the axis, from 0 to 1. A value too large
// for any axis lies at its end.
func (a axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return min(max((v-a.lo)/(a.hi-a.lo), 0), 1)
}

// wanted is the number of intervals between ticks that is aimed at.
const wanted = 5

// linearAxis spans exactly lo to hi.
func linearAxis(lo, hi float64) axis {
	lo, hi = open(lo, hi)
	step := niceStep((hi - lo) / wanted)
	a := axis{lo: lo, hi: hi}
	for i := math.Ceil(lo / step); i*step <= hi+step*1e-9; i++ {
		// Rounding 0.30000000000000004 to 0.3 is left to label.
		a.ticks = append(a.ticks, i*step)
	}
	return a
}

// valueAxis spans lo to hi with some room, and is logarithmic where that shows
// more.
func valueAxis(lo, hi float64) axis {
	if lo > 0 && hi/lo > 50 && !math.IsInf(hi/lo, 0) {
		return logAxis(lo, hi)
	}
	lo, hi = open(lo, hi)
	room := (hi - lo) * 0.05
	if lo >= 0 && lo < hi/2 {
		return linearAxis(0, hi+room)
	}
	return linearAxis(lo-room, hi+room)
}

func logAxis(lo, hi float64) axis {
	l, h := math.Log10(lo), math.Log10(hi)
	room := (h - l) * 0.05
	a := axis{lo: l - room, hi: h + room, log: true}
	every := max(1, math.Round((h-l)/wanted))
	for e := math.Ceil(a.lo/every) * every; e <= a.hi; e += every {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

// open widens an empty range, so that it can be divided by.
func open(lo, hi float64) (float64, float64) {
	if lo > hi { // no point at all
		return 0, 1
	}
	// Values beyond any use keep the arithmetic finite.
	const limit = 1e300
	lo, hi = max(lo, -limit), min(hi, limit)
	if room := max(math.Abs(lo), math.Abs(hi), 1e-300) * 1e-9; hi-lo < room {
		half := max(math.Abs(lo)*0.1, 1e-9)
		return lo - half, hi + half
	}
	return lo, hi
}

// niceStep returns a power of ten times 1, 2 or 5 near v, not far below it.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*0.75 {
			return m * power
		}
	}
	return 10 * power
}

// label writes a tick's value with the digits that a tick can have.
func label(v float64) string {
	if v == 0 || math.Abs(v) < 1e-300 {
		return "0"
	}
	// 10 digits drop the rounding errors of i·step.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'g', -1, 64)
}
