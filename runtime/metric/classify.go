package metric

import (
	"cmp"
	"math"
	"slices"

	"github.com/dnngen/dnngen/runtime/data"
)

// classes measures a choice among width classes by their logits.
func classes(r *Report, raw []float32, s *data.Set, width int) {
	r.Labels = s.Labels
	right, nll := 0, 0.0
	for i, c := range s.Target.Class {
		z := raw[i*width : (i+1)*width]
		best := 0
		for k, v := range z {
			if v > z[best] {
				best = k
			}
		}
		if best == int(c) {
			right++
		}
		r.Confusion[c][best]++
		nll += logSumExp(z) - float64(z[c])
	}
	r.Accuracy = number(float64(right) / float64(s.Rows))
	r.LogLoss = number(nll / float64(s.Rows))
}

func logSumExp(z []float32) float64 {
	high := float64(slices.Max(z))
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - high)
	}
	return high + math.Log(sum)
}

// binary measures width independent yes-or-no answers. A logit above 0, a
// probability above one half, is a yes.
func binary(r *Report, raw []float32, s *data.Set, width int) {
	right, nll := 0, 0.0
	if width == 1 {
		r.Labels = s.Labels
	}
	for i, t := range s.Target.Value {
		z := float64(raw[i])
		answer, truth := z > 0, t > 0.5
		if answer == truth {
			right++
		}
		if r.Confusion != nil {
			r.Confusion[index(truth)][index(answer)]++
		}
		// softplus(z) - t·z, in the form that does not overflow.
		nll += math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - float64(t)*z
	}
	values := float64(len(s.Target.Value))
	r.Accuracy = number(float64(right) / values)
	r.LogLoss = number(nll / values)
	r.AUC = number(meanAUC(raw, s.Target.Value, s.Rows, width))
}

func index(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// square returns a matrix of zeros: used, where it has this size.
func square(n int, used [][]int) [][]int {
	if len(used) == n {
		for _, row := range used {
			clear(row)
		}
		return used
	}
	m, all := make([][]int, n), make([]int, n*n)
	for i := range m {
		m[i] = all[i*n : (i+1)*n : (i+1)*n]
	}
	return m
}

func meanAUC(raw, target []float32, rows, width int) float64 {
	sum, defined := 0.0, 0
	score, truth := make([]float32, rows), make([]bool, rows)
	for k := range width {
		for i := range rows {
			score[i], truth[i] = raw[i*width+k], target[i*width+k] > 0.5
		}
		if a := auc(score, truth); !math.IsNaN(a) {
			sum += a
			defined++
		}
	}
	return sum / float64(defined)
}

// auc returns the probability that a random positive row scores higher than a
// random negative one, with ties counted half: the statistic of Mann and
// Whitney, by ranks. NaN where there is no positive or no negative row, or a
// score is NaN.
func auc(score []float32, truth []bool) float64 {
	order := make([]int, len(score))
	for i, v := range score {
		if v != v {
			return math.NaN()
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
	positives, rankSum := 0, 0.0
	for i := 0; i < len(order); {
		// Rows of one score share the mean of their ranks i+1 … j.
		j, tied := i, 0
		for ; j < len(order) && score[order[j]] == score[order[i]]; j++ {
			if truth[order[j]] {
				tied++
			}
		}
		rankSum += float64(tied) * float64(i+1+j) / 2
		positives += tied
		i = j
	}
	p, q := float64(positives), float64(len(order)-positives)
	if p == 0 || q == 0 {
		return math.NaN()
	}
	return (rankSum - p*(p+1)/2) / (p * q)
}
