package trainer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/pool"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// TestStartLine: the line that a training starts with names the devices that are not
// here; info and info.json tell why.
func TestStartLine(t *testing.T) {
	t.Chdir(t.TempDir())
	n := spirals()
	absent := func(name, why string) engine.Device {
		return engine.Device{Name: name, Missing: func() error { return errors.New(why) }}
	}
	n.Devices = append([]engine.Device{absent("cuda:0", "there is no driver"), absent("cpu:avx512", "this CPU has no AVX-512")}, n.Devices...)
	r := in{net: n}.must(t, "--epochs", "1", "--run", "one")
	if !strings.Contains(r.stderr, "cpu:go (not cuda:0, not cpu:avx512; see info), ") || strings.Contains(r.stderr, "driver") || strings.Contains(r.stderr, "thread") {
		t.Errorf("started by %q", r.stderr)
	}
	if why := "not cuda:0: there is no driver, not cpu:avx512: this CPU has no AVX-512"; !strings.Contains(read(t, "one", "info.json"), why) {
		t.Errorf("info.json lacks %q", why)
	}
	in{net: n}.must(t, "info").want(t, 0, "not here: there is no driver", "not here: this CPU has no AVX-512")
}

func TestTrain(t *testing.T) {
	t.Chdir(t.TempDir())
	r := in{net: spirals()}.must(t)
	run := filepath.Join("runs", "spirals", "001")
	for _, want := range []string{"train    loss", "test     loss", "accuracy", "run      " + run, "predict  trainer predict --model " + filepath.Join(run, "model.safetensors")} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("standard output lacks %q:\n%s", want, r.stdout)
		}
	}
	for _, want := range []string{"spirals: 99 parameters, cpu:go (the best that is here)", "rows and", "epoch 3/3"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("standard error lacks %q:\n%s", want, r.stderr)
		}
	}
	for _, name := range []string{"model.safetensors", "checkpoint", "metrics.jsonl", "curves.svg", "spec.yaml", "info.json", "lock"} {
		if _, err := os.Stat(filepath.Join(run, name)); err != nil {
			t.Error(err)
		}
	}
	if read(t, run, "spec.yaml") != spirals().Spec {
		t.Error("spec.yaml is not the spec")
	}
	var i info
	if err := json.Unmarshal([]byte(read(t, run, "info.json")), &i); err != nil || i.Status != "finished" || i.Result == nil || i.Ended == nil {
		t.Errorf("info %+v, %v", i, err)
	}
	in{net: spirals()}.must(t, "train", "--quiet")
	if _, err := os.Stat(filepath.Join("runs", "spirals", "002", "checkpoint")); err != nil {
		t.Error(err)
	}
	sameRun(t, run, filepath.Join("runs", "spirals", "002"))
}

// metricsOf reads the lines of a metrics file by their event.
func metricsOf(t *testing.T, text string) map[string][]map[string]any {
	t.Helper()
	events := map[string][]map[string]any{}
	for line := range strings.Lines(text) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name, _ := v["event"].(string)
		events[name] = append(events[name], v)
	}
	return events
}

func TestMetrics(t *testing.T) {
	t.Chdir(t.TempDir())
	in{net: spirals()}.must(t, "--run", "r", "--log-every", "7", "--epochs", "2")
	c := loadCheckpoint(t, "r")
	events := metricsOf(t, read(t, "r", "metrics.jsonl"))
	if n := int64(len(events["step"])); n != (c.Meta.State.Step+6)/7 || len(events["epoch"]) != 2 {
		t.Fatalf("%d steps and %d epochs of %d steps", n, len(events["epoch"]), c.Meta.State.Step)
	}
	for i, s := range events["step"] {
		if s["step"] != float64(7*i) || len(s) != 5 {
			t.Errorf("line %d: %v", i, s)
		}
	}
	test, _ := events["epoch"][1]["test"].(map[string]any)
	if test["accuracy"] == nil || test["loss"] == nil || test["confusion"] != nil || events["epoch"][1]["train_loss"] == nil {
		t.Errorf("epoch %v", events["epoch"][1])
	}
}

func TestCurves(t *testing.T) {
	t.Chdir(t.TempDir())
	in{net: spirals()}.must(t, "--run", "r")
	d := xml.NewDecoder(bytes.NewReader([]byte(read(t, "r", "curves.svg"))))
	text := ""
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := tok.(xml.CharData); ok {
			text += string(c)
		}
	}
	for _, want := range []string{"spirals: learning curves", "cross_entropy", "accuracy", "epoch", "train, mean of the epoch", "test"} {
		if !strings.Contains(text, want) {
			t.Errorf("the curves lack %q", want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	r := in{net: moons()}.must(t, "--json", "--quiet", "--run", "r", "--log-every", "1")
	if r.stderr != "" {
		t.Errorf("quiet, but: %s", r.stderr)
	}
	events := metricsOf(t, r.stdout)
	if len(events["start"]) != 1 || len(events["done"]) != 1 || len(events["epoch"]) != 3 || len(events["step"]) == 0 {
		t.Fatalf("events %v", events)
	}
	done := events["done"][0]
	if done["status"] != "finished" || done["run"] != "r" || done["test_result"] == nil {
		t.Errorf("done %v", done)
	}
	// What is printed in between is what the metrics file holds.
	text := strings.SplitAfterN(r.stdout, "\n", 2)[1]
	text = text[:strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1]
	if text != read(t, "r", "metrics.jsonl") {
		t.Error("standard output and metrics.jsonl differ")
	}
}

// The first loss without shuffling is that of the first rows and the initial
// parameters: nothing is trained or moved before.
func TestInitAndOrder(t *testing.T) {
	t.Chdir(t.TempDir())
	net := sine()
	in{net: net}.must(t, "--run", "a", "--epochs", "1")
	in{net: net}.must(t, "--init", "a", "--train", "builtin:sine/train", "--run", "b", "--shuffle=false", "--lr", "0", "--log-every", "1", "--epochs", "1")
	sum, rows := 0.0, 0.0
	steps := metricsOf(t, read(t, "b", "metrics.jsonl"))["step"]
	for i, s := range steps {
		n := 8.0
		if i == len(steps)-1 {
			var i info
			if err := json.Unmarshal([]byte(read(t, "b", "info.json")), &i); err != nil {
				t.Fatal(err)
			}
			n = float64(i.Train.Rows) - rows
		}
		sum += s["loss"].(float64) * n
		rows += n
	}
	r := in{net: net}.must(t, "eval", "--model", "a", "--data", "builtin:sine/train", "--json")
	var eval struct{ Loss float64 }
	if err := json.Unmarshal([]byte(r.stdout), &eval); err != nil {
		t.Fatal(err)
	}
	if math.Abs(sum/rows-eval.Loss) > 1e-6*eval.Loss {
		t.Errorf("mean loss of the steps %v, loss of the rows %v", sum/rows, eval.Loss)
	}
}

func TestOverrides(t *testing.T) {
	t.Chdir(t.TempDir())
	in{net: spirals()}.must(t, "--run", "r", "--epochs", "4", "--lr", "0.25", "--momentum", "0.5", "--seed", "9", "--shuffle=false", "--test", "", "--log-every", "3")
	m := loadCheckpoint(t, "r").Meta
	want := `{Epochs:4 Steps:0 LR:0.25 Momentum:0.5 Seed:9 Shuffle:false}`
	if got := fmt.Sprintf("%+v", m.Options); got != want || m.Test.Name != "" || m.LogEvery != 3 {
		t.Errorf("options %s, test %q, log every %d", got, m.Test.Name, m.LogEvery)
	}
	first := metricsOf(t, read(t, "r", "metrics.jsonl"))["step"][0]
	if first["lr"] != 0.25 {
		t.Errorf("first step %v", first)
	}
}

func TestTestAsAShare(t *testing.T) {
	t.Chdir(t.TempDir())
	in{net: spirals()}.must(t, "--run", "r", "--train", "builtin:spirals", "--test", "20%")
	m := loadCheckpoint(t, "r").Meta
	if all := m.Train.Rows + m.Test.Rows; m.Test.Rows*5 < all-5 || m.Test.Rows*5 > all+5 {
		t.Errorf("%d rows to train, %d to test", m.Train.Rows, m.Test.Rows)
	}
}

func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	writeNPZ(t, "two.npz", 30, 2, true)
	in{net: spirals()}.must(t, "--train", "two.npz", "--test", "", "--run", "npz")
	write(t, "rows.csv", "a,b,kind\n"+lines("%d,%d,%s", 30, func(i int) []any { return []any{i % 7, i % 5, []string{"x", "y", "z"}[i%3]} }))
	in{net: spirals()}.must(t, "--train", "rows.csv", "--test", "20%", "--run", "csv")
	in{net: spirals(), stdin: read(t, "rows.csv")}.must(t, "--train", "-", "--test", "", "--run", "stdin")
	// A directory of data is looked into after the working directory.
	t.Chdir(t.TempDir())
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	writeNPZ(t, "here.npz", 30, 2, true)
	t.Chdir(t.TempDir())
	in{net: spirals(), env: map[string]string{dataVariable: dir}}.must(t, "--train", "here.npz", "--test", "", "--run", "r")
}

func TestGradientDescent(t *testing.T) {
	t.Chdir(t.TempDir())
	net := testnet.New(testnet.Options{Name: "gd", Inputs: 1, Outputs: 1, Batch: 0, Epochs: 50, Data: builtin("sine")})
	in{net: net}.must(t, "--run", "r")
	if steps := loadCheckpoint(t, "r").Meta.State.Step; steps != 50 {
		t.Errorf("%d steps in 50 epochs of gradient descent", steps)
	}
}

func TestSteps(t *testing.T) {
	t.Chdir(t.TempDir())
	r := in{net: spirals()}.must(t, "--run", "r", "--steps", "5")
	if s := loadCheckpoint(t, "r").Meta.State; s.Step != 5 || s.LossRows != 80 {
		t.Errorf("state %+v", s)
	}
	r.want(t, 0, "5 steps", "(last step)", "test     loss")
}

func TestRefusedTrainings(t *testing.T) {
	t.Chdir(t.TempDir())
	in{net: spirals()}.must(t, "--run", "done")
	write(t, "file", "")
	write(t, "nan.csv", "a,b,c\n1,2,0\n1,nope,1\n")
	write(t, "inf.csv", "a,b,c\n1,2,0\n1,inf,1\n")
	write(t, "wide.csv", "a,b,c,d\n1,2,3,0\n1,2,3,1\n")
	write(t, "class.csv", "a,b,c\n1,2,0\n1,2,7\n")
	plain := testnet.New(testnet.Options{Name: "plain", Inputs: 2, Outputs: 3, Batch: 4, Loss: "cross_entropy"})
	adam := testnet.New(testnet.Options{Name: "adam", Inputs: 2, Outputs: 3, Batch: 4, Loss: "cross_entropy"})
	adam.Optimizer = "adam"
	away := spirals()
	away.Data.Train, away.Data.Test = "away.csv", ""
	absent := spirals()
	absent.Devices = append([]engine.Device{{Name: "cpu:avx512", Missing: func() error { return errors.New("this CPU has no AVX-512") }}}, absent.Devices...)
	for _, c := range []struct {
		net  *engine.Network
		args string
		code int
		text []string
	}{
		{spirals(), "--resume", 6, []string{"--resume"}},
		{spirals(), "--epochs 0", 2, []string{"--epochs must be at least 1", "try: trainer help train\n"}},
		{spirals(), "--epochs 3.5", 2, []string{`invalid value "3.5" for --epochs`}},
		{spirals(), "--epoch 3", 2, []string{`train has no flag --epoch; did you mean "--epochs"?`}},
		{spirals(), "--batch 3", 2, []string{"train has no flag --batch; its flags are --checkpoint-every, --device, --epochs, ", ", --train\n"}},
		{spirals(), "version -x", 2, []string{"version has no flag -x; its flags are --json\ntry: trainer help version\n"}},
		{spirals(), "help -x", 2, []string{"try: trainer help\n"}},
		{spirals(), "--lr", 2, []string{"--lr needs a value"}},
		{spirals(), "--lr -1", 2, []string{"--lr must be"}},
		{spirals(), "--lr NaN", 2, []string{"--lr must be"}},
		{spirals(), "--lr 1e-300", 2, []string{"--lr 1e-300 is a number that a float32 cannot hold"}},
		{spirals(), "--lr 1e-40", 2, []string{"float32"}},
		{spirals(), "--lr 1e39", 2, []string{"float32"}},
		{spirals(), "--lr Inf", 2, []string{"float32"}},
		{spirals(), "--momentum 1e-300", 2, []string{"--momentum 1e-300 is a number that a float32 cannot hold"}},
		{spirals(), "--momentum -1", 2, []string{"--momentum must be"}},
		{spirals(), "--momentum 1", 2, []string{"--momentum must be", "below 1"}},
		{spirals(), "--steps -1", 2, []string{"must not be negative"}},
		{spirals(), "--threads -2", 2, []string{"--threads must be positive"}},
		{spirals(), "--threads 1000000", 2, []string{"at most 1024"}},
		{spirals(), "--seed -1", 2, []string{`invalid value "-1" for --seed: not a number that it takes`}},
		{spirals(), "--shuffle=maybe", 2, []string{`invalid value "maybe" for --shuffle: it is true or false`}},
		{spirals(), "--shuffle false", 2, []string{`train takes no argument "false"; did you mean --shuffle=false?`}},
		{spirals(), "--epochs 1 -json true", 2, []string{"did you mean --json=true?"}},
		{spirals(), "--seed 3 false", 2, []string{`takes no argument "false"` + "\n"}},
		{spirals(), "false", 2, []string{`there is no command "false"` + "\ntry: trainer help\n"}},
		{spirals(), "--resume --init x", 2, []string{"exclude each other"}},
		{spirals(), "tran", 2, []string{`no command "tran"; did you mean "train"?`}},
		{spirals(), "train now", 2, []string{`takes no argument "now"`}},
		{spirals(), "--device gpu", 2, []string{`"gpu" is not a device`}},
		{plain, "", 2, []string{"the spec has no data.train; give --train SRC"}},
		{plain, "--train builtin:spirals --momentum 0.5", 2, []string{"with sgd without momentum"}},
		{adam, "--train builtin:spirals --momentum 0.5", 2, []string{"with adam without momentum"}},
		{spirals(), "--train none.csv", 4, []string{"none.csv: there is no such file"}},
		{away, "", 4, []string{"away.csv: there is no such file; hint: the spec names it", "DNNGEN_DATA"}},
		{spirals(), "--train builtin:spiral", 4, []string{`did you mean "spirals"?`}},
		{spirals(), "--train nan.csv", 4, []string{"nan.csv:3:3"}},
		{spirals(), "--train inf.csv", 4, []string{"inf.csv:3:3"}},
		{spirals(), "--train wide.csv", 4, []string{"3 inputs"}},
		{spirals(), "--train class.csv", 4, []string{"class.csv:3"}},
		{spirals(), "--test 200%", 2, []string{"--test 200% is no share of the rows", "such as 20%"}},
		{spirals(), "--test none.csv", 4, []string{"none.csv"}},
		{spirals(), "--lr 1e38", 5, []string{"the loss of step", "epoch 0", "layer", "no checkpoint was written yet", "smaller --lr"}},
		{spirals(), "--run done", 6, []string{"done: already holds a trained run", "--resume"}},
		{sine(), "--run done", 6, []string{"spec.yaml of another network"}},
		{spirals(), "--run file", 6, []string{"file"}},
		{spirals(), "--init none", 6, []string{"none"}},
		{spirals(), "--init file", 6, []string{"file"}},
		{spirals(), "--resume --run nowhere", 6, []string{"there is no run in nowhere"}},
		{spirals(), "--device cuda", 7, []string{"device cuda: not compiled in"}},
		{absent, "--device cpu:avx512", 7, []string{"device cpu:avx512: this CPU has no AVX-512"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := in{net: c.net}.run(strings.Fields(c.args)...)
			r.want(t, c.code, c.text...)
			if r.stdout != "" {
				t.Errorf("standard output: %s", r.stdout)
			}
			if strings.HasPrefix(c.args, "--resume") && strings.Contains(c.args, "nowhere") {
				if _, err := os.Stat("nowhere"); err == nil {
					t.Error("a directory was made")
				}
			}
		})
	}
	t.Setenv(pool.Variable, "alway")
	in{net: spirals()}.run().want(t, 2, `DNNGEN_SHARE is "alway"; it can be "always"`)
	// No mistake above but the one that trained left a run behind.
	entries, err := os.ReadDir("runs/spirals")
	if err != nil || len(entries) != 1 {
		t.Errorf("runs %v, %v", entries, err)
	}
}

func TestDeviceByEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals(), env: map[string]string{"DNNGEN_DEVICE": "cuda", "DNNGEN_COMMAND": "dnngen run x.yaml --"}}
	i.run("--run", "r").want(t, 7, "device cuda")
	r := i.must(t, "--run", "r", "--device", "cpu")
	r.want(t, 0, "predict  dnngen run x.yaml -- predict --model")
}

func TestAutoFallsBackAndSaysSo(t *testing.T) {
	t.Chdir(t.TempDir())
	net := spirals()
	net.Devices = append([]engine.Device{{Name: "cuda:0", Missing: func() error { return errors.New("no driver") }}}, net.Devices...)
	r := in{net: net}.must(t, "--run", "r")
	if n := strings.Count(r.stderr, "not cuda:0"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.stderr)
	}
}

// A parameter that goes bad where the loss stays finite is found before a
// checkpoint is written: ReLU hides a NaN.
func TestHiddenNaNIsNeverSaved(t *testing.T) {
	t.Chdir(t.TempDir())
	bad := false
	net := testnet.New(testnet.Options{Name: "hidden", Inputs: 2, Hidden: 4, Activation: "relu", Outputs: 3, Batch: 16, Loss: "cross_entropy", Epochs: 2, Data: builtin("spirals")})
	portable := net.Devices[0]
	net.Devices[0].New = func(o engine.Options) (engine.Engine, error) {
		e, err := portable.New(o)
		return &poisoned{Engine: e, when: &bad}, err
	}
	i := in{net: net}
	i.must(t, "--run", "r")
	before := read(t, "r", "checkpoint")
	model := read(t, "r", "model.safetensors")
	bad = true
	r := i.run("--run", "r", "--resume", "--epochs", "4")
	r.want(t, 5, "parameter 0.weight is not finite at index 0", "layer 0 (linear", "the checkpoint from before is whole")
	if read(t, "r", "checkpoint") != before || read(t, "r", "model.safetensors") != model {
		t.Error("the good state was overwritten")
	}
	bad = false
	i.must(t, "--run", "r", "--resume", "--epochs", "4")
}

// poisoned puts a NaN into the first weight after each step.
type poisoned struct {
	engine.Engine
	when *bool
}

func (p *poisoned) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	loss := p.Engine.Step(x, y, rows, h)
	if *p.when {
		w := make([]float32, 8)
		p.Read(0, 0, 0, w)
		w[0] = float32(math.NaN())
		p.Write(0, 0, 0, w)
		return 1
	}
	return loss
}

// A row of a file is named by its line, whatever was dropped before it.
func TestNaNNamesTheLine(t *testing.T) {
	t.Chdir(t.TempDir())
	net := testnet.New(testnet.Options{Name: "net", Inputs: 2, Outputs: 3, Batch: 4, Loss: "cross_entropy"})
	net.Data = engine.Data{Train: "rows.csv", Missing: engine.Missing{Kind: "drop"}}
	write(t, "rows.csv", "a,b,c\n1,?,0\n1,2,1\n-3.4e38,-3.4e38,2\n2,1,0\n")
	in{net: net}.run("--run", "r").want(t, 5, "layer 0 (linear, line 3 of the spec) is the first to give it, for training row 1 (rows.csv, line 4)")
}

func TestNaNLeavesTheCheckpoint(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	before := read(t, "r", "checkpoint")
	r := i.run("--run", "r", "--resume", "--epochs", "5", "--lr", "1e38")
	r.want(t, 5, "the learning rate changes from 0.1 to 1e+38", "is the first to give it, for training row", "the checkpoint from before is whole")
	if read(t, "r", "checkpoint") != before {
		t.Error("the checkpoint changed")
	}
	var got info
	if err := json.Unmarshal([]byte(read(t, "r", "info.json")), &got); err != nil || got.Status != "failed" || got.Error == "" {
		t.Errorf("info %+v, %v", got, err)
	}
	// Once more, with a rate that works.
	i.must(t, "--run", "r", "--resume", "--epochs", "5", "--lr", "0.05")
}

func TestTerminalAndPlainOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	r := in{net: spirals()}.must(t, "--run", "r", "--epochs", "100")
	s := bufio.NewScanner(strings.NewReader(r.stderr))
	n := 0
	for s.Scan() {
		n++
		if strings.ContainsAny(s.Text(), "\r\x1b") {
			t.Errorf("control characters: %q", s.Text())
		}
	}
	if n < 10 || n > 40 {
		t.Errorf("%d lines of progress for 100 epochs", n)
	}
}

func TestRunFilesOfAnUnfinishedStart(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	want := read(t, "r", "model.safetensors")
	for _, name := range []string{rundir.CheckpointFile, rundir.ModelFile} {
		if err := os.Remove(filepath.Join("r", name)); err != nil {
			t.Fatal(err)
		}
	}
	r := i.must(t, "--run", "r", "--resume")
	r.want(t, 0, "r has no checkpoint yet: starting from the beginning")
	if read(t, "r", "model.safetensors") != want {
		t.Error("another model came out")
	}
}
