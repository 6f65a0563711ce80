package main

import (
	"math"
	"math/rand/v2"
	"unsafe"
)

// loss is a kernel.CrossEntropy and a kernel.Loss of the squared difference.
type loss struct {
	width, rows int
	class       func(z, dz *float32, class *int32, rows int, scale float32) float64
	square      func(z, dz, y *float32, rows int, scale float32) float64
}

// check computes losses and their gradients of some numbers of rows.
func (l loss) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(uint64(l.width), 11))
	z, y := matrix(r, l.rows, l.width, normal), matrix(r, l.rows, l.width, normal)
	zs := source(z, l.rows, 0, atEnd)
	checks := 0
	for _, rows := range []int{1, 15, 16, 17, l.rows} {
		checks += 2
		classes, values := guarded(rows, atEnd), guarded(rows*l.width, atEnd)
		class := unsafe.Slice((*int32)(unsafe.Pointer(classes.p())), rows)
		for i := range rows {
			class[i] = r.Int32N(int32(l.width))
			copy(values.v[i*l.width:], y[i])
		}
		dz := guarded(panels(l.width)*l.rows*lanes, atEnd)
		got := l.class(zs.p(), dz.p(), &class[0], rows, 0.5)
		// Exponents of up to 16 in magnitude are rounded before their function is taken.
		tolerance := bound(l.width, 16)
		want := 0.0
		for i := range rows {
			value, slopes := crossEntropy(z[i], int(class[i]))
			want += value
			l.compare("cross-entropy", dz.v, i, slopes, func(int) float64 { return tolerance })
		}
		if !(math.Abs(got-want) <= float64(rows)*tolerance) {
			fail("cross-entropy of %d rows of %d: %g, want %g", rows, l.width, got, want)
		}
		got = l.square(zs.p(), dz.p(), values.p(), rows, 0.5)
		want, tolerance = 0, 0
		for i := range rows {
			slopes := make([]float64, l.width)
			for c := range slopes {
				d := float64(z[i][c]) - float64(y[i][c])
				slopes[c] = 2 * d
				want += d * d
				tolerance += bound(1, math.Abs(d)*(math.Abs(float64(z[i][c]))+math.Abs(float64(y[i][c]))))
			}
			l.compare("square", dz.v, i, slopes, func(c int) float64 {
				return bound(1, math.Abs(float64(z[i][c]))+math.Abs(float64(y[i][c])))
			})
		}
		if !(math.Abs(got-want) <= tolerance) {
			fail("squares of %d rows of %d: %g, want %g", rows, l.width, got, want)
		}
		dz.done("dz of losses")
		classes.done("classes")
		values.done("targets")
	}
	zs.done("z")
	return checks
}

// crossEntropy returns a row's loss and its derivatives.
func crossEntropy(z []float32, class int) (value float64, slopes []float64) {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v))
	}
	for c, v := range z {
		slope := math.Exp(float64(v)) / sum
		if c == class {
			slope--
		}
		slopes = append(slopes, slope)
	}
	return math.Log(sum) - float64(z[class]), slopes
}

// compare compares a row's gradient, which is half the slopes; padding is zero.
func (l loss) compare(what string, dz []float32, row int, slopes []float64, tolerance func(c int) float64) {
	for c := range panels(l.width) * lanes {
		got := float64(dz[(c/lanes*l.rows+row)*lanes+c%lanes])
		want, within := 0.0, 0.0
		if c < l.width {
			want, within = slopes[c]/2, tolerance(c)
		}
		if !(math.Abs(got-want) <= within) {
			fail("%s of %d: gradient [%d][%d] is %g, want %g", what, l.width, row, c, got, want)
			return
		}
	}
}
