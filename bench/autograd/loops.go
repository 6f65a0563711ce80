package autograd

import (
	"math"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/runtime/scalar"
)

// run does one loop over a piece. Slices have the length of dst; an argument
// that is one number has a nil slice.
func (in *instruction) run(dst []float32, args *[3][]float32, numbers *[3]float32) {
	a, b := args[0], args[1]
	switch in.op {
	case expr.Add:
		switch {
		case a == nil:
			addScalar(dst, b, numbers[0])
		case b == nil:
			addScalar(dst, a, numbers[1])
		default:
			add(dst, a, b)
		}
	case expr.Sub:
		switch {
		case a == nil:
			scalarSub(dst, numbers[0], b)
		case b == nil:
			addScalar(dst, a, -numbers[1])
		default:
			sub(dst, a, b)
		}
	case expr.Mul:
		switch {
		case a == nil:
			mulScalar(dst, b, numbers[0])
		case b == nil:
			mulScalar(dst, a, numbers[1])
		default:
			mul(dst, a, b)
		}
	case expr.Div:
		switch {
		case a == nil:
			scalarDiv(dst, numbers[0], b)
		case b == nil:
			divScalar(dst, a, numbers[1])
		default:
			div(dst, a, b)
		}
	case expr.Select:
		choose(dst, args, numbers)
	default:
		apply(in.op, dst, a)
	}
}

// apply does a primitive of one argument.
func apply(o expr.Op, dst, a []float32) {
	a = a[:len(dst)]
	switch o {
	case expr.Neg:
		for i, v := range a {
			dst[i] = -v
		}
	case expr.Exp:
		for i, v := range a {
			dst[i] = scalar.Exp(v)
		}
	case expr.Expm1:
		for i, v := range a {
			dst[i] = scalar.Expm1(v)
		}
	case expr.Log:
		for i, v := range a {
			dst[i] = scalar.Log(v)
		}
	case expr.Tanh:
		for i, v := range a {
			dst[i] = scalar.Tanh(v)
		}
	case expr.Sigmoid:
		for i, v := range a {
			dst[i] = scalar.Sigmoid(v)
		}
	case expr.Softplus:
		for i, v := range a {
			dst[i] = scalar.Softplus(v)
		}
	case expr.Erf:
		for i, v := range a {
			dst[i] = scalar.Erf(v)
		}
	case expr.Sqrt:
		for i, v := range a {
			dst[i] = scalar.Sqrt(v)
		}
	case expr.Abs:
		for i, v := range a {
			dst[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		}
	default:
		panic("autograd: no loop for " + o.String())
	}
}

func add(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func addScalar(dst, a []float32, v float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + v
	}
}

func sub(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func scalarSub(dst []float32, v float32, b []float32) {
	b = b[:len(dst)]
	for i := range dst {
		dst[i] = v - b[i]
	}
}

func mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func mulScalar(dst, a []float32, v float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * v
	}
}

func div(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

func divScalar(dst, a []float32, v float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / v
	}
}

func scalarDiv(dst []float32, v float32, b []float32) {
	b = b[:len(dst)]
	for i := range dst {
		dst[i] = v / b[i]
	}
}

// choose takes the second argument where the first is at most 0, else the
// third. It works on bits: a branch would be guessed wrong every other time.
func choose(dst []float32, args *[3][]float32, numbers *[3]float32) {
	if args[0] == nil { // the same choice for all
		taken := 2
		if numbers[0] <= 0 {
			taken = 1
		}
		if args[taken] == nil {
			fill(dst, numbers[taken])
		} else {
			copy(dst, args[taken])
		}
		return
	}
	c := args[0][:len(dst)]
	x, y := args[1], args[2]
	switch {
	case x == nil && y == nil:
		for i, v := range c {
			dst[i] = pick(v, numbers[1], numbers[2])
		}
	case x == nil:
		y = y[:len(dst)]
		for i, v := range c {
			dst[i] = pick(v, numbers[1], y[i])
		}
	case y == nil:
		x = x[:len(dst)]
		for i, v := range c {
			dst[i] = pick(v, x[i], numbers[2])
		}
	default:
		x, y = x[:len(dst)], y[:len(dst)]
		for i, v := range c {
			dst[i] = pick(v, x[i], y[i])
		}
	}
}

func pick(c, x, y float32) float32 {
	take := uint32(0)
	if c <= 0 { // compiled to a flag, not to a branch
		take = 1
	}
	mask := -take
	return math.Float32frombits(math.Float32bits(x)&mask | math.Float32bits(y)&^mask)
}
