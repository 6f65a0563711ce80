package main

import (
	"math"
)

// problem asks for the polynomial of a degree whose largest weighted error on
// an interval is least, some of its coefficients being given.
type problem struct {
	name   string
	doc    string // what the polynomial approximates, for the generated comment
	lo, hi float64
	fixed  []float64 // coefficients of x^0, x^1, …
	degree int
	value  func(x float64) float64
	weight func(x float64) float64 // the error is |polynomial - value| * weight
}

const (
	gridPoints = 1000
	rounds     = 200
)

// solve returns coefficients that are float32 numbers, lowest first, and the
// largest weighted error on the grid.
//
// Rounding all coefficients of the best polynomial at once would lose most of
// what it gained. So the lowest free one is rounded, the others are fitted
// again around it, and so on to the highest.
func (p problem) solve() (coeffs []float32, worst float64) {
	xs := make([]float64, gridPoints)
	for i := range xs {
		// Chebyshev points crowd at the ends, where the error peaks.
		u := math.Cos(math.Pi * (float64(i) + 0.5) / gridPoints)
		xs[i] = (p.lo+p.hi)/2 + (p.hi-p.lo)/2*u
	}
	known := append([]float64(nil), p.fixed...)
	for len(known) <= p.degree {
		free := p.fit(xs, known)
		known = append(known, float64(float32(free[0])))
	}
	for _, c := range known {
		coeffs = append(coeffs, float32(c))
	}
	for _, x := range xs {
		worst = max(worst, math.Abs(horner(known, x)-p.value(x))*p.weight(x))
	}
	return coeffs, worst
}

// fit returns the free coefficients, by Lawson's method: least squares whose
// weights grow where the error is large, until it is equally large everywhere
// it peaks.
func (p problem) fit(xs, known []float64) []float64 {
	free := p.degree + 1 - len(known)
	scale := max(math.Abs(p.lo), math.Abs(p.hi))
	rows := make([][]float64, len(xs)) // basis functions of x/scale, weighted
	rest := make([]float64, len(xs))   // what they have to reach, weighted
	for i, x := range xs {
		w := p.weight(x)
		rows[i] = make([]float64, free)
		for j := range rows[i] {
			rows[i][j] = math.Pow(x/scale, float64(len(known)+j)) * w
		}
		rest[i] = (p.value(x) - horner(known, x)) * w
	}
	lawson := make([]float64, len(xs))
	for i := range lawson {
		lawson[i] = 1
	}
	var best []float64
	least := math.Inf(1)
	for range rounds {
		c := leastSquares(rows, rest, lawson)
		var worst, sum float64
		for i := range xs {
			e := -rest[i]
			for j, b := range rows[i] {
				e += c[j] * b
			}
			worst = max(worst, math.Abs(e))
			lawson[i] *= math.Abs(e)
			sum += lawson[i]
		}
		for i := range lawson {
			lawson[i] *= float64(len(xs)) / sum
		}
		if worst < least {
			least, best = worst, c
		}
	}
	for j := range best {
		best[j] /= math.Pow(scale, float64(len(known)+j))
	}
	return best
}

// leastSquares minimises the weighted sum of squares of rows*c - rest, by
// Householder reflections.
func leastSquares(rows [][]float64, rest, weight []float64) []float64 {
	n := len(rows[0])
	a := make([][]float64, len(rows))
	b := make([]float64, len(rows))
	for i := range rows {
		w := math.Sqrt(weight[i])
		a[i] = make([]float64, n)
		for j := range a[i] {
			a[i][j] = rows[i][j] * w
		}
		b[i] = rest[i] * w
	}
	for k := range n {
		norm := 0.0
		for i := k; i < len(a); i++ {
			norm = math.Hypot(norm, a[i][k])
		}
		if a[k][k] > 0 {
			norm = -norm
		}
		v := make([]float64, len(a))
		square := 0.0
		for i := k; i < len(a); i++ {
			v[i] = a[i][k]
			if i == k {
				v[i] -= norm
			}
			square += v[i] * v[i]
		}
		if square == 0 {
			continue
		}
		reflect := func(get func(i int) *float64) {
			dot := 0.0
			for i := k; i < len(a); i++ {
				dot += v[i] * *get(i)
			}
			for i := k; i < len(a); i++ {
				*get(i) -= 2 * dot / square * v[i]
			}
		}
		for j := k; j < n; j++ {
			reflect(func(i int) *float64 { return &a[i][j] })
		}
		reflect(func(i int) *float64 { return &b[i] })
	}
	c := make([]float64, n)
	for k := n - 1; k >= 0; k-- {
		c[k] = b[k]
		for j := k + 1; j < n; j++ {
			c[k] -= a[k][j] * c[j]
		}
		c[k] /= a[k][k]
	}
	return c
}

// horner evaluates a polynomial, lowest coefficient first.
func horner(c []float64, x float64) float64 {
	y := 0.0
	for i := len(c) - 1; i >= 0; i-- {
		y = y*x + c[i]
	}
	return y
}
