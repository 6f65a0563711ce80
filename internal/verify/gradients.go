package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
)

const (
	gradRows = 4
	// gradElements are compared of each tensor, at most; gradWork bounds their
	// number further on large networks.
	gradElements = 200
	gradWork     = 2e9
	// gradTolerance is on the error as a share of the gradient, or of a
	// hundredth of the loss where the gradient is small. Truncation and rounding
	// of a difference in float64 stay far below it.
	gradTolerance = 1e-6
)

// gradSteps are half widths of central differences. Where a kink lies inside
// the first, it is outside of one of the others; a wrong gradient is wrong with
// each.
var gradSteps = []float64{1e-5, 1e-6, 1e-7}

// gradients compares the gradients that the compiled program computes, with its
// fusions and its memory plan, with central differences of its loss, in float64.
func (v *verifier) gradients() (string, error) {
	p := v.p
	r := rand.New(rand.NewPCG(v.Net.Train.Seed, 0x677261646e))
	m := eval.InArena(p)
	for i, q := range p.Params {
		values := draw(q.Init, q.Size(), r)
		for k := range values {
			m.Params[i][k] = float64(values[k])
			if q.Init.Kind == "constant" {
				// At weights of 0 units stand on their kinks, and a bias of 0 hides
				// faults.
				m.Params[i][k] += r.Float64() - 0.5
			}
		}
	}
	rows := min(gradRows, p.Batch)
	if stepWork(p, rows) > gradWork/10 {
		rows = 1
	}
	x, y := randomRows(p, rows, r).float64(p.Loss.Classes())
	loss := m.Gradients(x, y, rows)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return "", fmt.Errorf("the loss of drawn parameters is %v", loss)
	}
	elements := int(gradWork / float64(len(p.Params)) / (2 * stepWork(p, rows)))
	elements = min(gradElements, max(2, elements))
	var worst float64
	var where string
	var checked, nonzero int
	grads := make([][]float64, len(p.Params))
	for i := range p.Params {
		grads[i] = append([]float64(nil), m.Grad(i)...)
	}
	for i, q := range p.Params {
		n := min(elements, q.Size())
		for k := range n {
			at := k * q.Size() / n
			wrong := gradError(m, i, at, grads[i][at], loss, func() float64 { return m.Loss(x, y, rows) })
			checked++
			if grads[i][at] != 0 {
				nonzero++
			}
			if wrong > worst {
				worst, where = wrong, fmt.Sprintf("%s[%d]", q.Name, at)
			}
		}
	}
	figures := fmt.Sprintf("%d elements, %d not 0: relative error %.1e (at most %.0e)", checked, nonzero, worst, gradTolerance)
	switch {
	case !(worst <= gradTolerance):
		return "", fmt.Errorf("%s at %s", figures, where)
	case checked > 0 && nonzero == 0:
		return "", fmt.Errorf("%d elements, and every gradient is 0: the network cannot learn", checked)
	}
	return figures, nil
}

// gradError returns the relative error of one gradient.
func gradError(m *eval.Machine, param, at int, analytic, loss float64, lossNow func() float64) float64 {
	value := &m.Params[param][at]
	old := *value
	defer func() { *value = old }()
	best := math.Inf(1)
	for _, h := range gradSteps {
		*value = old + h
		up, right := lossNow(), *value
		*value = old - h
		down, left := lossNow(), *value
		numeric := (up - down) / (right - left)
		size := max(math.Abs(analytic), math.Abs(numeric), 1e-2*max(1, math.Abs(loss)))
		if best = min(best, math.Abs(analytic-numeric)/size); best <= gradTolerance {
			break
		}
	}
	return best
}

// draw returns values of an initial distribution.
func draw(in ir.Init, n int, r *rand.Rand) []float32 {
	values := make([]float32, n)
	for i := range values {
		switch in.Kind {
		case "uniform":
			values[i] = float32((2*r.Float64() - 1) * in.Scale)
		case "normal":
			values[i] = float32(r.NormFloat64() * in.Scale)
		default:
			values[i] = float32(in.Scale)
		}
	}
	return values
}

// trainerGradients runs the trainer's own check, in float32.
func (v *verifier) trainerGradients(ctx context.Context) (string, error) {
	out, err := v.run(ctx, "gradcheck", "--json")
	if err != nil {
		return "", err
	}
	var worst struct {
		Param            string
		Error, Tolerance float64
	}
	checked := 0
	err = eachLine(out, func(line []byte) error {
		var r struct {
			Param     string  `json:"param"`
			Checked   int     `json:"checked"`
			Error     float64 `json:"error"`
			Tolerance float64 `json:"tolerance"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		checked += r.Checked
		if worst.Param == "" || r.Error/r.Tolerance > worst.Error/worst.Tolerance {
			worst.Param, worst.Error, worst.Tolerance = r.Param, r.Error, r.Tolerance
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d elements: relative error %.1e in %s (at most %.0e: differences in float32)",
		checked, worst.Error, worst.Param, worst.Tolerance), nil
}
