package data

import (
	"math"
	"math/rand/v2"
)

// The generated problems are the same on every machine, bit for bit. Each
// product is converted to float64 before it is added to something, which keeps
// compilers from fusing the two, and the sine is computed here, because that of
// the library may be fused, too.

// generatedRows is how many rows each generated problem has; it is a multiple
// of 2, 3, 4 and 5.
const generatedRows = 1200

// generator draws the numbers of one problem.
type generator struct {
	random *rand.PCG
	rows   []float32
}

func newGenerator(seed uint64) *generator {
	const stream = 0x67656e6572617465 // "generate"
	return &generator{random: rand.NewPCG(seed, stream)}
}

// uniform returns a number from 0 to 1, without 1: the upper 53 bits of a word.
func (g *generator) uniform() float64 { return float64(g.random.Uint64()>>11) / (1 << 53) }

// between returns a number from low to high.
func (g *generator) between(low, high float64) float64 {
	return low + float64((high-low)*g.uniform())
}

// normal returns a number with mean 0 and deviation 1, nearly normal: the sum of
// twelve uniform ones less 6. It needs no logarithm.
func (g *generator) normal() float64 {
	sum := -6.0
	for range 12 {
		sum += g.uniform()
	}
	return sum
}

// add adds a row.
func (g *generator) add(cells ...float64) {
	for _, v := range cells {
		g.rows = append(g.rows, float32(v))
	}
}

func (g *generator) table(names ...string) *Table {
	return &Table{
		names: names,
		x:     &numeric[float32]{name: "x", data: g.rows, rows: len(g.rows) / len(names), columns: len(names)},
	}
}

func sine() *Table {
	g := newGenerator(1)
	for range generatedRows {
		x := g.between(-math.Pi, math.Pi)
		g.add(x, sin(x)+float64(0.05*g.normal()))
	}
	return g.table("x", "y")
}

func positive() *Table {
	g := newGenerator(2)
	for range generatedRows {
		x := g.between(-3, 3)
		noise := math.Abs(g.normal())
		g.add(x, (float64(x*x)+noise)/4+0.05)
	}
	return g.table("x", "y")
}

func xor() *Table {
	g := newGenerator(3)
	for range generatedRows {
		corner := g.random.Uint64() >> 62
		a, b := float64(corner&1), float64(corner>>1)
		g.add(a+float64(0.1*g.normal()), b+float64(0.1*g.normal()), math.Abs(a-b))
	}
	return g.table("x1", "x2", "y")
}

// twoMoons draws the upper half of a circle around (0, 0) and the lower half of
// one around (1, 0.5), both of radius 1.
func twoMoons() *Table {
	g := newGenerator(4)
	for i := range generatedRows {
		angle := g.between(0, math.Pi)
		x, y := cos(angle), sin(angle)
		moon := float64(i % 2)
		if moon == 1 {
			x, y = 1-x, 0.5-y
		}
		g.add(x+float64(0.1*g.normal()), y+float64(0.1*g.normal()), moon)
	}
	return g.table("x1", "x2", "y")
}

// spirals draws three arms that start at the centre, a third of a turn apart,
// and turn by 4 while the radius grows from 0 to 1.
func spirals() *Table {
	g := newGenerator(5)
	for i := range generatedRows {
		class := float64(i % 3)
		radius := g.uniform()
		angle := float64(4*radius) + float64(class*(2*math.Pi/3)) + float64(0.15*g.normal())
		g.add(float64(radius*cos(angle)), float64(radius*sin(angle)), class)
	}
	return g.table("x1", "x2", "class")
}

func cos(x float64) float64 { return sin(x + math.Pi/2) }

// sin returns the sine of a small number, to about 1e-15: it takes away whole
// half turns and sums the Taylor series up to x²¹/21!, whose rest is below 1e-17
// for |x| ≤ π/2.
func sin(x float64) float64 {
	turns := math.Round(x / math.Pi)
	x -= float64(turns * math.Pi)
	square := float64(x * x)
	sum, term := 0.0, x
	for k := 1; k <= 21; k += 2 {
		sum += term
		term = -float64(term*square) / float64((k+1)*(k+2))
	}
	if math.Mod(turns, 2) != 0 {
		return -sum
	}
	return sum
}
