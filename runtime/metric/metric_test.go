package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

func near(t *testing.T, name string, got *Number, want float64) {
	t.Helper()
	if got == nil || math.Abs(float64(*got)-want) > 1e-9 {
		t.Errorf("%s: got %v, want %v", name, got, want)
	}
}

// Errors 0.5, 0.5, 0, 1: MAE 2/4, MSE 1.5/4. The targets' mean is 2.875, their
// squares around it add up to 29.1875, so R² = 1 - 1.5/29.1875.
func TestRegression(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1})
	s := &data.Set{Rows: 4, Outputs: 1, Target: engine.Target{Value: []float32{3, -0.5, 2, 7}}}
	r := Of(n, []float32{2.5, 0, 2, 8}, s)
	near(t, "MAE", r.MAE, 0.5)
	near(t, "RMSE", r.RMSE, math.Sqrt(0.375))
	near(t, "R²", r.R2, 1-1.5/29.1875)
	if r.Loss != 0.375 || r.Rows != 4 || r.Accuracy != nil || r.AUC != nil || r.Confusion != nil {
		t.Errorf("%+v", r)
	}
}

// Two outputs: R² is 1 - 1/2 for the first and 1 for the second. A third whose
// targets do not vary has none, and is left out of the mean.
func TestRegressionOfSeveralOutputs(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 3})
	s := &data.Set{Rows: 2, Outputs: 3, Target: engine.Target{Value: []float32{1, 5, 9, 3, 7, 9}}}
	r := Of(n, []float32{1, 5, 9, 4, 7, 8}, s)
	near(t, "R²", r.R2, 0.75)
	near(t, "MAE", r.MAE, 2.0/6)
	near(t, "RMSE", r.RMSE, math.Sqrt(2.0/6))
}

// What predict gives is what is measured, not the raw output behind it.
func TestRegressionOfTransformedOutputs(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1})
	n.Transform = func(raw, out []float32, rows int) {
		for i, v := range raw[:rows] {
			out[i] = max(v, 0)
		}
	}
	s := &data.Set{Rows: 2, Outputs: 1, Target: engine.Target{Value: []float32{0, 2}}}
	r := Of(n, []float32{-3, 2}, s)
	near(t, "MAE", r.MAE, 0)
	if r.Loss != 4.5 {
		t.Errorf("loss %v, want that of the raw outputs, 4.5", r.Loss)
	}
}

func TestClasses(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 3, Loss: "cross_entropy"})
	s := &data.Set{Rows: 4, Outputs: 3, Target: engine.Target{Class: []int32{0, 1, 2, 2}}, Labels: []string{"a", "b", "c"}}
	ln := func(v float64) float32 { return float32(math.Log(v)) }
	raw := []float32{
		ln(6), ln(3), ln(1), // 0.6 for the right class
		ln(5), ln(4), ln(1), // 0.4, wrong
		0, 0, ln(8), // 0.8
		2, 2, 2, // a tie: the first class is the answer; 1/3
	}
	r := Of(n, raw, s)
	near(t, "accuracy", r.Accuracy, 0.5)
	if want := -(math.Log(0.6) + math.Log(0.4) + math.Log(0.8) + math.Log(1.0/3)) / 4; math.Abs(float64(*r.LogLoss)-want) > 1e-6 || math.Abs(float64(r.Loss)-want) > 1e-6 {
		t.Errorf("log loss %v, loss %v, want %v", *r.LogLoss, r.Loss, want)
	}
	if got := fmt.Sprint(r.Confusion, r.Labels); got != "[[1 0 0] [1 0 0] [1 0 1]] [a b c]" {
		t.Errorf("confusion %s", got)
	}
}

func TestBinary(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1, Loss: "bce_with_logits"})
	s := &data.Set{Rows: 4, Outputs: 1, Target: engine.Target{Value: []float32{0, 0, 1, 1}}}
	// Probabilities 0.1, 0.4, 0.35, 0.8.
	logit := func(p float64) float32 { return float32(math.Log(p / (1 - p))) }
	r := Of(n, []float32{logit(0.1), logit(0.4), logit(0.35), logit(0.8)}, s)
	near(t, "accuracy", r.Accuracy, 0.75)
	near(t, "AUC", r.AUC, 0.75) // of the four pairs only (0.4, 0.35) is the wrong way round
	if want := -(math.Log(0.9) + math.Log(0.6) + math.Log(0.35) + math.Log(0.8)) / 4; math.Abs(float64(*r.LogLoss)-want) > 1e-6 {
		t.Errorf("log loss %v, want %v", *r.LogLoss, want)
	}
	if got := fmt.Sprint(r.Confusion); got != "[[2 0] [1 1]]" {
		t.Errorf("confusion %s", got)
	}
}

func TestBinaryOfSeveralOutputs(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 2, Loss: "bce_with_logits"})
	s := &data.Set{Rows: 2, Outputs: 2, Target: engine.Target{Value: []float32{1, 1, 0, 1}}}
	r := Of(n, []float32{3, -1, -2, 5}, s)
	near(t, "accuracy", r.Accuracy, 0.75)
	near(t, "AUC", r.AUC, 1) // the second output has no negative row
	if r.Confusion != nil {
		t.Errorf("confusion %v of two outputs", r.Confusion)
	}
}

func TestBinaryOfHugeLogits(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1, Loss: "bce_with_logits"})
	s := &data.Set{Rows: 2, Outputs: 1, Target: engine.Target{Value: []float32{1, 0}}}
	r := Of(n, []float32{1e4, 1e4}, s)
	near(t, "log loss", r.LogLoss, 5000)
}

func TestAUC(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		score []float32
		truth []bool
		want  float64
	}{
		{[]float32{1, 2, 3, 4}, []bool{no, no, yes, yes}, 1},
		{[]float32{4, 3, 2, 1}, []bool{no, no, yes, yes}, 0},
		{[]float32{1, 1, 1, 1}, []bool{no, no, yes, yes}, 0.5},
		{[]float32{1, 2, 2, 3}, []bool{no, no, yes, yes}, 0.875},
		{[]float32{1, 2}, []bool{yes, yes}, math.NaN()},
		{[]float32{1, 2}, []bool{no, no}, math.NaN()},
		{[]float32{1, float32(math.NaN())}, []bool{no, yes}, math.NaN()},
	} {
		got := auc(c.score, c.truth)
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%v %v: %v, want %v", c.score, c.truth, got, c.want)
		}
	}
}

// AUC is by definition the share of pairs that are the right way round.
func TestAUCByPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		n := 2 + r.IntN(40)
		score, truth := make([]float32, n), make([]bool, n)
		for i := range n {
			score[i], truth[i] = float32(r.IntN(8)), i == 0 || i > 1 && r.IntN(3) == 0
		}
		good, pairs := 0.0, 0.0
		for i := range n {
			for j := range n {
				if truth[i] && !truth[j] {
					pairs++
					if score[i] > score[j] {
						good++
					} else if score[i] == score[j] {
						good += 0.5
					}
				}
			}
		}
		if got := auc(score, truth); math.Abs(got-good/pairs) > 1e-12 {
			t.Fatalf("%v %v: %v, want %v", score, truth, got, good/pairs)
		}
	}
}

func TestJSON(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1})
	s := &data.Set{Rows: 2, Outputs: 1, Target: engine.Target{Value: []float32{1, 1}}}
	b, err := json.Marshal(Of(n, []float32{1, 2}, s))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `{"rows":2,"loss":0.5,"mae":0.5,"rmse":0.7071067811865476,"r2":null}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || back.R2 != nil || *back.MAE != 0.5 {
		t.Errorf("read back %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"loss":null}`), &back); err != nil || !math.IsNaN(float64(back.Loss)) {
		t.Errorf("read back a loss of %v, %v", back.Loss, err)
	}
	var names []string
	for _, v := range back.Numbers() {
		names = append(names, v.Name)
	}
	if got := strings.Join(names, ", "); got != "loss, MAE, RMSE" {
		t.Errorf("numbers %s", got)
	}
}

func TestWrongSizePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Of(testnet.New(testnet.Options{Inputs: 1, Outputs: 2}), []float32{1}, &data.Set{Rows: 1})
}
