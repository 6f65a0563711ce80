// Package behaviour uses the emitted packages as a program that imports them
// does. The test of gen/golang compiles and runs it beside them.
package behaviour

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	moons "example.com/emitted/binary"
	digits "example.com/emitted/classes"
	sine "example.com/emitted/full"
	penguins "example.com/emitted/named"
	plant "example.com/emitted/regression"
	corners "example.com/emitted/single"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func noAllocations(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(20, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

func TestClasses(t *testing.T) {
	train := must[*digits.Data](t)(digits.Open("builtin:digits/train"))
	test := must[*digits.Data](t)(digits.Open("builtin:digits/test"))
	steps, epochs := 0, 0
	m, report, err := digits.Train(context.Background(), train, test, digits.TrainOptions{
		Epochs: 2, KeepBest: true,
		OnStep:  func(digits.Step) { steps++ },
		OnEpoch: func(digits.Epoch) error { epochs++; return nil },
	}, digits.WithSeed(3), digits.WithDevice("cpu"), digits.WithThreads(1), digits.WithLearningRate(0.05), digits.WithMomentum(0.5))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if steps == 0 || int64(steps) != report.Steps || epochs != 2 || len(report.Epochs) != 2 {
		t.Errorf("%d steps and %d epochs were told of; the report has %d and %d", steps, epochs, report.Steps, len(report.Epochs))
	}
	if accuracy := *report.Test.Accuracy; accuracy < 0.8 {
		t.Errorf("accuracy %v", accuracy)
	}
	metrics := must[digits.Metrics](t)(m.Evaluate(context.Background(), test))
	if metrics.Loss != report.Test.Loss {
		t.Errorf("the model's loss is %v, the report's %v", metrics.Loss, report.Test.Loss)
	}

	rows := make([][digits.Inputs]float32, 5)
	for i := range rows {
		for j := range rows[i] {
			rows[i][j] = float32((i + 3*j) % 17)
		}
	}
	batch := m.PredictBatch(rows)
	for i := range rows {
		p := m.Predict(&rows[i])
		if p != batch[i] {
			t.Errorf("row %d alone gives %+v, in a batch %+v", i, p, batch[i])
		}
		sum, largest := float32(0), 0
		for k, v := range p.Probs {
			sum += v
			if v > p.Probs[largest] {
				largest = k
			}
		}
		if math.Abs(float64(sum)-1) > 1e-5 || p.Class != largest {
			t.Errorf("row %d: class %d, probabilities %v", i, p.Class, p.Probs)
		}
	}
	noAllocations(t, "Predict", func() {
		var row [digits.Inputs]float32
		row[3] = 7
		if m.Predict(&row).Class < 0 {
			t.Error("no class")
		}
	})

	file := filepath.Join(t.TempDir(), "model.safetensors")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	loaded := must[*digits.Model](t)(digits.Load(os.DirFS(filepath.Dir(file)), "model.safetensors"))
	defer loaded.Close()
	if got := loaded.Predict(&rows[2]); got != batch[2] {
		t.Errorf("the loaded model gives %+v, want %+v", got, batch[2])
	}
	if _, err := penguins.Load(os.DirFS(filepath.Dir(file)), "model.safetensors"); err == nil {
		t.Error("the parameters of another network are loaded")
	}
}

func TestStepsOfClasses(t *testing.T) {
	m := must[*digits.Model](t)(digits.New())
	defer m.Close()
	var x [digits.Batch][digits.Inputs]float32
	var y [digits.Batch]int32
	for i := range x {
		y[i] = int32(i % digits.Outputs)
		for j := range x[i] {
			x[i][j] = float32((i*7 + j*j) % 17)
		}
	}
	first := m.Step(&x, &y)
	for range 30 {
		m.Step(&x, &y)
	}
	if last := m.Step(&x, &y); !(last < first) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
	noAllocations(t, "Step", func() { m.Step(&x, &y) })
	noAllocations(t, "StepRows", func() { m.StepRows(x[:3], y[:3]) })

	before := m.Predict(&x[0])
	y[2] = digits.Outputs
	bad := []float64{m.Step(&x, &y)}
	y[2] = -1
	bad = append(bad, m.Step(&x, &y))
	y[2], x[1][1] = 2, float32(math.Inf(1))
	bad = append(bad, m.Step(&x, &y))
	for i, loss := range bad {
		if !math.IsNaN(loss) {
			t.Errorf("bad batch %d gives the loss %v", i, loss)
		}
	}
	if m.Predict(&x[0]) != before {
		t.Error("a bad batch changed the parameters")
	}
	if p := m.Predict(&x[1]); p.Class != -1 || p.Label != "" || p.Raw[0] == p.Raw[0] || p.Probs[0] == p.Probs[0] {
		t.Errorf("a row with an infinity gives %+v", p)
	}
	for _, f := range []func(){
		func() { m.StepRows(x[:2], y[:3]) },
		func() { m.StepRows(nil, nil) },
		func() { m.StepRows(make([][digits.Inputs]float32, digits.Batch+1), make([]int32, digits.Batch+1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("lengths that do not fit do not panic")
				}
			}()
			f()
		}()
	}
	if err := m.SetLearningRate(math.NaN()); err == nil {
		t.Error("NaN is taken as a learning rate")
	}
}

func TestPredictWhileTraining(t *testing.T) {
	train := must[*digits.Data](t)(digits.Open("builtin:digits/train"))
	m := must[*digits.Model](t)(digits.New())
	defer m.Close()
	ctx, stop := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			var row [digits.Inputs]float32
			for ctx.Err() == nil {
				if p := m.Predict(&row); p.Class < 0 {
					t.Error("no class")
				}
			}
		})
	}
	_, err := m.Train(context.Background(), train, nil, digits.TrainOptions{Steps: 40})
	stop()
	readers.Wait()
	if err != nil {
		t.Error(err)
	}
}

func TestCancelledTraining(t *testing.T) {
	train := must[*digits.Data](t)(digits.Open("builtin:digits/train"))
	ctx, cancel := context.WithCancel(context.Background())
	m, report, err := digits.Train(ctx, train, nil, digits.TrainOptions{OnStep: func(s digits.Step) {
		if s.Step == 4 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || m == nil || report.Steps != 5 {
		t.Fatalf("got %v, %v after %d steps", m, err, report.Steps)
	}
	defer m.Close()
	if report, err = m.Train(context.Background(), train, nil, digits.TrainOptions{Steps: 3}); err != nil || report.Steps != 3 {
		t.Errorf("went on for %d steps: %v", report.Steps, err)
	}
	if m, _, err := digits.Train(ctx, nil, nil, digits.TrainOptions{}); m != nil || err == nil {
		t.Errorf("training without rows gives %v, %v", m, err)
	}
}

func TestNamedFeatures(t *testing.T) {
	all := must[*penguins.Data](t)(penguins.Open("builtin:penguins"))
	train, test := penguins.Split(all, 0.2, 1)
	m, report, err := penguins.Train(context.Background(), train, test, penguins.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if accuracy := *report.Test.Accuracy; accuracy < 0.9 {
		t.Errorf("accuracy %v", accuracy)
	}
	row := penguins.Row{Island: "Biscoe", BillLengthMm: 50, BillDepthMm: 15, FlipperLengthMm: 220, BodyMassG: 5200}
	p := must[penguins.Prediction](t)(m.PredictRow(&row))
	if p.Label != "Gentoo" || p.Class != 2 {
		t.Errorf("got %+v", p)
	}
	var x [penguins.Inputs]float32
	if err := m.Encode(&row, &x); err != nil {
		t.Fatal(err)
	}
	if got := m.Predict(&x); got != p {
		t.Errorf("the encoded row gives %+v, the row %+v", got, p)
	}
	row.Island = "Mars"
	if _, err := m.PredictRow(&row); err == nil || !strings.Contains(err.Error(), "Biscoe") {
		t.Errorf("an unknown island gives %v", err)
	}
	row.Island, row.BodyMassG = "Dream", math.NaN()
	if _, err := m.PredictRow(&row); err == nil || !strings.Contains(err.Error(), "body_mass_g") {
		t.Errorf("a missing number gives %v", err)
	}
	fresh := must[*penguins.Model](t)(penguins.New())
	defer fresh.Close()
	row.BodyMassG = 4000
	if _, err := fresh.PredictRow(&row); err == nil {
		t.Error("a model without categories takes a row")
	}
}

func TestNamedExamples(t *testing.T) {
	var rows []penguins.Row
	var y []int32
	for i := range 60 {
		island := []string{"a", "b", "c"}[i%3]
		rows = append(rows, penguins.Row{Island: island, BillLengthMm: float64(i), BillDepthMm: 1, FlipperLengthMm: float64(i * i), BodyMassG: 3})
		y = append(y, int32(i%3))
	}
	d := must[*penguins.Data](t)(penguins.Examples(rows, y, "first", "second", "third"))
	m, _, err := penguins.Train(context.Background(), d, nil, penguins.TrainOptions{Epochs: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if p := must[penguins.Prediction](t)(m.PredictRow(&rows[4])); p.Label != "second" || m.Label(2) != "third" {
		t.Errorf("got %+v", p)
	}
	if _, err := penguins.Examples(rows, y[1:]); err == nil {
		t.Error("a row without a class is taken")
	}
}

func TestRegressionOfSeveralOutputs(t *testing.T) {
	nan := float32(math.NaN())
	var x [][plant.Inputs]float32
	var y [][plant.Outputs]float32
	for i := range 40 {
		v := float32(i) / 10
		x = append(x, [plant.Inputs]float32{v, 100 * v, 7, -v})
		y = append(y, [plant.Outputs]float32{v, 2 * v, 1})
	}
	x[3][1] = nan
	d := must[*plant.Data](t)(plant.Examples(x, y))
	m, report, err := plant.Train(context.Background(), d, d, plant.TrainOptions{Epochs: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if *report.Test.R2 < 0.5 {
		t.Errorf("R² %v", *report.Test.R2)
	}
	p := m.Predict(&x[20])
	for k, v := range p.Output {
		if softplus := math.Log1p(math.Exp(float64(p.Raw[k]))); math.Abs(softplus-float64(v)) > 1e-5 {
			t.Errorf("output %d is %v, softplus of raw %v", k, v, softplus)
		}
	}
	if p := m.Predict(&x[3]); p.Raw[0] != p.Raw[0] {
		t.Error("a missing number is not filled")
	}
	var bx [plant.Batch][plant.Inputs]float32
	var by [plant.Batch][plant.Outputs]float32
	noAllocations(t, "Step", func() { m.Step(&bx, &by) })
	by[0][1] = nan
	if loss := m.Step(&bx, &by); !math.IsNaN(loss) {
		t.Errorf("a target that is no number gives the loss %v", loss)
	}
}

func TestBinary(t *testing.T) {
	d := must[*moons.Data](t)(moons.Open("builtin:two_moons"))
	train, test := moons.Split(d, 0.25, 1)
	m, report, err := moons.Train(context.Background(), train, test, moons.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if *report.Test.Accuracy < 0.8 {
		t.Errorf("accuracy %v", *report.Test.Accuracy)
	}
	for _, row := range [][moons.Inputs]float32{{0, 1}, {1, -0.5}, {-1, 0}, {2, 0}} {
		p := m.Predict(&row)
		if (p.Class == 1) != (p.Probs[0] > 0.5) || (p.Class == 1) != (p.Raw[0] > 0) || p.Class < 0 {
			t.Errorf("%v: %+v", row, p)
		}
	}
}

func TestGradientDescent(t *testing.T) {
	m := must[*sine.Model](t)(sine.New(sine.WithSeed(2)))
	defer m.Close()
	x := make([][sine.Inputs]float32, 50)
	y := make([][sine.Outputs]float32, 50)
	for i := range x {
		v := float32(i)/10 - 2.5
		x[i][0], y[i][0] = v, float32(math.Sin(float64(v)))
	}
	first := m.Step(x, y)
	for range 200 {
		m.Step(x, y)
	}
	if last := m.Step(x, y); !(last < first/2) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
	noAllocations(t, "Step", func() { m.Step(x, y) })
	if p := m.Predict(&x[9]); p.Output != p.Raw {
		t.Errorf("identity gives %v of %v", p.Output, p.Raw)
	}
}

func TestSingleExamples(t *testing.T) {
	m := must[*corners.Model](t)(corners.New())
	defer m.Close()
	var x [4][corners.Batch][corners.Inputs]float32
	var y [4][corners.Batch]int32
	for i := range x {
		x[i][0] = [corners.Inputs]float32{float32(i & 1), float32(i >> 1)}
		y[i][0] = int32(i & 1)
	}
	for range 200 {
		for i := range x {
			m.Step(&x[i], &y[i])
		}
	}
	for i := range x {
		if p := m.Predict(&x[i][0]); p.Class != i&1 {
			t.Errorf("row %v gives class %d", x[i][0], p.Class)
		}
	}
	noAllocations(t, "Step", func() { m.Step(&x[0], &y[0]) })
}

func TestClose(t *testing.T) {
	m := must[*corners.Model](t)(corners.New())
	m.Close()
	m.Close()
	defer func() {
		if recover() == nil {
			t.Error("a closed model predicts")
		}
	}()
	m.Predict(&[corners.Inputs]float32{})
}

func TestThreadsDoNotChangeTheResult(t *testing.T) {
	d := must[*moons.Data](t)(moons.Open("builtin:two_moons"))
	var want moons.Prediction
	for i, threads := range []int{1, 2, 5} {
		m, _, err := moons.Train(context.Background(), d, nil, moons.TrainOptions{Epochs: 2}, moons.WithThreads(threads))
		if err != nil {
			t.Fatal(err)
		}
		p := m.Predict(&[moons.Inputs]float32{0.3, 0.4})
		m.Close()
		if i == 0 {
			want = p
		} else if p != want {
			t.Errorf("%d threads give %+v, one %+v", threads, p, want)
		}
	}
	if m, err := moons.New(moons.WithThreads(-1)); err == nil || m != nil {
		t.Error("-1 threads are taken")
	}
	if _, err := moons.New(moons.WithDevice("abacus")); err == nil {
		t.Error("an abacus is taken as a device")
	}
}
