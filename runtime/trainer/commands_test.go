package trainer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

func TestEval(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r", "--epochs", "30")
	var got, want map[string]any
	r := i.must(t, "eval", "--model", "r", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || strings.Count(r.stdout, "\n") != 1 {
		t.Fatalf("%q, %v", r.stdout, err)
	}
	var done struct {
		Result map[string]any `json:"test_result"`
	}
	if err := json.Unmarshal([]byte(read(t, "r", "info.json")), &done); err != nil {
		t.Fatal(err)
	}
	want = done.Result
	for key, v := range want {
		if !reflect.DeepEqual(got[key], v) {
			t.Errorf("%s: %v, the training said %v", key, got[key], v)
		}
	}
	// Whichever file of the run is named, the model is the same.
	for _, file := range []string{"r/model.safetensors", "r/checkpoint"} {
		var other map[string]any
		r := i.must(t, "eval", "--json", "--model", file, "--data", "builtin:spirals/test", "--device", "cpu:go")
		if err := json.Unmarshal([]byte(r.stdout), &other); err != nil || other["loss"] != got["loss"] {
			t.Errorf("%s: %v, %v", file, other, err)
		}
	}
	text := i.must(t, "eval", "--model", "r").stdout
	for _, want := range []string{"rows ", "loss ", "accuracy ", " %", "log loss", "confusion"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	in{net: moons()}.must(t, "--run", "m")
	in{net: moons()}.must(t, "eval", "--model", "m").want(t, 0, "AUC", "accuracy", "confusion")
	in{net: sine()}.must(t, "--run", "s")
	in{net: sine()}.must(t, "eval", "--model", "s").want(t, 0, "MAE", "RMSE", "R²")
}

// The spec's test share is split off by the seed of the training that made the
// model, whatever that was.
func TestEvalOfAShare(t *testing.T) {
	t.Chdir(t.TempDir())
	net := spirals()
	net.Data.Train, net.Data.Test = "builtin:spirals", "30%"
	i := in{net: net}
	i.must(t, "--run", "r", "--seed", "77")
	var done struct {
		Result struct{ Loss float64 } `json:"test_result"`
	}
	if err := json.Unmarshal([]byte(read(t, "r", "info.json")), &done); err != nil {
		t.Fatal(err)
	}
	var got struct{ Loss float64 }
	if err := json.Unmarshal([]byte(i.must(t, "eval", "--model", "r", "--json").stdout), &got); err != nil || got.Loss != done.Result.Loss {
		t.Errorf("loss %v, the training said %v, %v", got.Loss, done.Result.Loss, err)
	}
}

func TestPredict(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	write(t, "rows.csv", "x1,x2\n"+lines("%v,%v", 7, func(i int) []any { return []any{float64(i) / 7, -float64(i) / 9} }))
	i.must(t, "predict", "--model", "r", "--input", "rows.csv", "-o", "p.npz")
	text := read(t, "p.npz")
	arrays, err := npy.DecodeZip(bytes.NewReader([]byte(text)), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	raw, output := arrays["raw"], arrays["output"]
	if len(arrays) != 2 || fmt.Sprint(raw.Shape, output.Shape) != "[7 3] [7 1]" {
		t.Fatalf("arrays %v", arrays)
	}
	for r := range 7 {
		z := raw.Float[3*r : 3*r+3]
		if got := output.Float[r]; z[int(got)] != slices.Max(z) {
			t.Errorf("row %d: %v of %v", r, got, z)
		}
	}
	i.must(t, "predict", "--model", "r", "--input", "rows.csv", "-o", "p.csv")
	if toStdout := i.must(t, "predict", "--model", "r", "--input", "rows.csv"); toStdout.stdout != read(t, "p.csv") {
		t.Error("a file and standard output differ")
	}
	i.stdin = read(t, "rows.csv")
	if piped := i.must(t, "predict", "--model", "r", "--input", "-", "-o", "-"); piped.stdout != read(t, "p.csv") {
		t.Error("a file and standard input differ")
	}
	records, err := csv.NewReader(strings.NewReader(read(t, "p.csv"))).ReadAll()
	if err != nil || strings.Join(records[0], " ") != "raw0 raw1 raw2 output0" || len(records) != 8 {
		t.Fatalf("records %v, %v", records, err)
	}
	for r, record := range records[1:] {
		v, err := strconv.ParseFloat(record[1], 32)
		if err != nil || float32(v) != raw.Float[3*r+1] {
			t.Errorf("row %d: %s, want %v, %v", r, record[1], raw.Float[3*r+1], err)
		}
	}
	// An output that is no plain file is written to in place.
	if _, err := os.Stat("/dev/stdout"); err == nil {
		if err := os.Symlink("p.csv", "link.csv"); err != nil {
			t.Fatal(err)
		}
		write(t, "p.csv", "")
		i.must(t, "predict", "--model", "r", "--input", "rows.csv", "-o", "link.csv")
		if read(t, "p.csv") == "" {
			t.Error("a link was replaced")
		}
	}
}

func TestPredictNamesClasses(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	rows := "a,b,kind\n" + lines("%d,%d,%s", 60, func(i int) []any { return []any{i % 3, -i % 3, []string{"ant", `"bee, or wasp"`, "cat"}[i%3]} })
	write(t, "rows.csv", rows)
	i.must(t, "--train", "rows.csv", "--test", "10%", "--run", "r", "--epochs", "200")
	r := i.must(t, "predict", "--model", "r", "--input", "rows.csv")
	records, err := csv.NewReader(strings.NewReader(r.stdout)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(records[0], " "); got != "raw0 raw1 raw2 output0 class" {
		t.Fatalf("columns %s", got)
	}
	for k, record := range records[1:] {
		if want := []string{"ant", "bee, or wasp", "cat"}[k%3]; record[4] != want {
			t.Errorf("row %d: %v, want %s", k, record, want)
		}
	}
	i.must(t, "eval", "--model", "r", "--data", "rows.csv").want(t, 0, "bee, or wasp", "100.00 %")
}

// A file that PyTorch wrote has names and shapes, and nothing of the rows: they
// are taken as numbers, divided where the spec says so.
func TestModelOfAnotherProgram(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, scale := range []engine.Scale{{Kind: "none"}, {Kind: "divide", Factor: 16}, {Kind: "standardize"}} {
		net := testnet.New(testnet.Options{Name: "plain", Inputs: 2, Outputs: 2, Batch: 4, Loss: "cross_entropy", Data: engine.Data{Scale: scale}})
		var b bytes.Buffer
		err := safetensors.Encode(&b, &safetensors.File{Tensors: []safetensors.Tensor{
			{Name: "0.bias", Shape: []int{2}, Data: []float32{0, 0}},
			{Name: "0.weight", Shape: []int{2, 2}, Data: []float32{1, 0, 0, 1}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, "m.safetensors", b.String())
		writeNPZ(t, "x.npz", 10, 2, true)
		write(t, "x.csv", "p,q,y\n32,48,1\n")
		i := in{net: net}
		r := i.must(t, "predict", "--model", "m.safetensors", "--input", "x.csv")
		want := "32,48,32,48"
		if scale.Kind == "divide" {
			want = "2,3,2,3"
		}
		if !strings.HasSuffix(r.stdout, "\n"+want+"\n") {
			t.Errorf("%+v: %s", scale, r.stdout)
		}
		if (r.stderr != "") != (scale.Kind == "standardize") {
			t.Errorf("%+v: warned %q", scale, r.stderr)
		}
		i.must(t, "eval", "--model", "m.safetensors", "--data", "x.npz").want(t, 0, "accuracy")
		i.must(t, "predict", "--model", "m.safetensors", "--input", "x.npz", "-o", "p.npz")
		i.must(t, "--init", "m.safetensors", "--train", "x.npz", "--run", "r-"+scale.Kind)
	}
}

func TestExport(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	for _, from := range []string{"r", "r/checkpoint", "r/model.safetensors"} {
		i.must(t, "export", "--model", from, "--safetensors", "out.safetensors")
		if read(t, "out.safetensors") != read(t, "r", "model.safetensors") {
			t.Errorf("the export of %s differs from the model", from)
		}
	}
}

// A file that cannot be written is the machine's fault: exit status 7, with the
// path and the system's reason; what was there before stays.
func TestOutputsThatCannotBeWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	for _, args := range [][]string{
		{"predict", "--model", "r", "--input", "builtin:spirals", "-o", "out.csv"},
		{"predict", "--model", "r", "--input", "builtin:spirals", "-o", "out.npz"},
		{"export", "--model", "r", "--safetensors", "out.safetensors"},
	} {
		name := args[len(args)-1]
		write(t, name, "old")
		for _, reason := range []syscall.Errno{syscall.ENOSPC, syscall.EACCES, syscall.EROFS, syscall.EDQUOT} {
			failed := 0
			for at := 1; ; at++ {
				bad := faultfs.Wrap(fsys.OS(), faultfs.Fault{At: at, Err: reason, Sticky: true})
				r := in{net: spirals(), fs: bad}.run(args...)
				if len(bad.Calls()) < at {
					break
				}
				if op := bad.Calls()[at-1].Op; op != "create" && op != "write" && op != "sync" && op != "rename" {
					continue
				}
				failed++
				r.want(t, 7, "error: write "+name+": "+reason.Error()+"\n")
				if read(t, name) != "old" {
					t.Fatalf("%s was changed", name)
				}
			}
			if failed < 4 {
				t.Errorf("%v: only %d calls failed by %v", args, failed, reason)
			}
			write(t, name, "old")
		}
	}
	i.run("predict", "--model", "r", "--input", "builtin:spirals", "-o", "none/out.csv").want(t, 7, "write none/out.csv: ")
	if _, err := os.Stat("/dev/full"); err == nil {
		write(t, "rows.csv", "x1,x2\n1,2\n")
		if err := os.Symlink("/dev/full", "full.csv"); err != nil {
			t.Fatal(err)
		}
		i.run("predict", "--model", "r", "--input", "rows.csv", "-o", "full.csv").want(t, 7, "write full.csv: no space left on device")
	}
}

// What predict and export wrote, as JSON.
func TestWrittenAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	for _, c := range []struct {
		args string
		want string
	}{
		{"predict --model r --input builtin:spirals -o p.csv --json",
			`{"event":"predict","model":"r","input":"builtin:spirals","file":"p.csv","rows":1200,"outputs":3,"output_width":1}`},
		{"export --model r --safetensors x --json",
			`{"event":"export","model":"r","file":"x","format":"safetensors","parameters":99}`},
	} {
		if r := i.must(t, strings.Fields(c.args)...); r.stdout != c.want+"\n" {
			t.Errorf("%s: %s", c.args, r.stdout)
		}
	}
}

func TestInfo(t *testing.T) {
	net := spirals()
	net.Devices = append([]engine.Device{{Name: "cpu:avx512", Missing: func() error { return fmt.Errorf("no AVX-512") }}}, net.Devices...)
	i := in{net: net}
	i.must(t, "info").want(t, 0, "spirals: 2 inputs, 3 outputs, 99 parameters", "batches of 16", "tanh", "cpu:avx512  not here: no AVX-512", "cpu:go      here; chosen", "go1.")
	var f facts
	if err := json.Unmarshal([]byte(i.must(t, "info", "--json").stdout), &f); err != nil {
		t.Fatal(err)
	}
	if f.Name != "spirals" || f.Parameters != 99 || f.Chosen != "cpu:go" || len(f.Devices) != 2 || f.Devices[0].Present || f.Devices[0].Why != "no AVX-512" ||
		len(f.Layers) != 3 || f.Layers[0].Parameters != 48 || f.Threads < 1 || f.Go == "" || len(f.SpecSum) != 64 {
		t.Errorf("facts %+v", f)
	}
	i.run("info", "--device", "cpu:avx512").want(t, 7, "no AVX-512")
	// As many threads are told of as an engine uses, not as the machine offers.
	net.Devices[1].Threads = func(asked int) int { return max(asked, 3) }
	i.must(t, "info").want(t, 0, "threads     3\n")
	i.must(t, "info", "--threads", "5").want(t, 0, "threads     5\n")
	t.Chdir(t.TempDir())
	r := i.must(t, "--steps", "1", "--run", "r")
	if !strings.Contains(r.stderr, "), 3 threads, ") || !strings.Contains(read(t, "r/info.json"), `"threads": 3`) {
		t.Errorf("a training by three threads says: %s%s", r.stderr, read(t, "r/info.json"))
	}
	net.Devices[0].Name, net.Devices[0].Memory = "cuda:0", func(string) int64 { return 5 << 19 }
	i.must(t, "info").want(t, 0, "cuda:0      2.5 MiB of its memory; not here: no AVX-512")
	i.must(t, "info", "--json").want(t, 0, `"memory_bytes":2621440`)
	net.Devices[0].Memory = func(string) int64 { return 21 << 10 }
	i.must(t, "info").want(t, 0, "cuda:0      21.0 KiB of its memory; not here: no AVX-512")
	net.Devices[0].Memory = func(string) int64 { return 5 << 19 }
	net.Devices[0].Missing, net.Devices[0].Products = func() error { return nil }, func(precision string) string { return "products in " + precision }
	i.must(t, "info", "--device", "cpu:go").want(t, 0, "2.5 MiB of its memory; here\n            products in fp32\n")
	i.must(t, "info", "--device", "cpu:go", "--json").want(t, 0, `"products":"products in fp32"`)
	// A GPU that is not chosen is told of in the precision that it would take.
	net.Precision, net.Precisions = "half", []engine.Precision{{Name: "fp32"}, {Name: "half"}}
	net.Devices[0].Memory = func(precision string) int64 { return map[string]int64{"fp32": 4, "half": 2}[precision] << 20 }
	i.must(t, "info", "--device", "cpu:go").want(t, 0, "4.0 MiB of its memory; here") // it lacks half
	net.Devices[0].Missing = func() error { return errors.New("no driver") }
	i.must(t, "info", "--precision", "half").want(t, 0, "2.0 MiB of its memory in half; not here: no driver")
	net.Precision, net.Precisions = "", nil
	full := testnet.New(testnet.Options{Inputs: 1, Outputs: 1})
	in{net: full}.must(t, "info").want(t, 0, "trained on the full set")
}

// noted is an engine with something to tell.
type noted struct{ engine.Engine }

func (noted) Notes() []string { return []string{"products by hand"} }

func TestNotes(t *testing.T) {
	i := in{net: spirals()}
	d := &i.net.Devices[len(i.net.Devices)-1]
	made := d.New
	d.New = func(o engine.Options) (engine.Engine, error) {
		e, err := made(o)
		return noted{e}, err
	}
	i.must(t, "train", "--device", "cpu:go").want(t, 0, "products by hand\n")
	i.must(t, "bench", "--seconds", "0.1", "--data", "random", "--threads", "1").want(t, 0, "cpu:go in fp32: products by hand\n")
}

func TestGradcheck(t *testing.T) {
	for name, o := range map[string]testnet.Options{
		"tanh": {Inputs: 3, Hidden: 20, Outputs: 4, Batch: 8, Loss: "cross_entropy"},
		"relu": {Inputs: 3, Hidden: 20, Activation: "relu", Outputs: 2, Batch: 8},
		"bce":  {Inputs: 5, Outputs: 2, Batch: 8, Loss: "bce_with_logits"},
	} {
		for seed := range 10 {
			r := in{net: testnet.New(o)}.run("gradcheck", "--seed", strconv.Itoa(seed))
			r.want(t, 0, "0.weight", "pass")
		}
		var g gradResult
		first := strings.SplitN(in{net: testnet.New(o)}.must(t, "gradcheck", "--json").stdout, "\n", 2)[0]
		if err := json.Unmarshal([]byte(first), &g); err != nil || g.Param != "0.weight" || g.Verdict != "pass" || g.Checked == 0 || math.Abs(float64(g.Error)) > 1e-2 {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

// A check that passes everything is worth nothing: each of these faults in a
// backward pass must be found, in each tensor that has it.
func TestGradcheckFindsFaults(t *testing.T) {
	faults := map[string]func(g []float32){
		"sign":        func(g []float32) { scale(g, -1) },
		"factor 2":    func(g []float32) { scale(g, 2) },
		"mean of 7":   func(g []float32) { scale(g, 8.0/7) },
		"5 % off":     func(g []float32) { scale(g, 1.05) },
		"zero":        func(g []float32) { scale(g, 0) },
		"NaN":         func(g []float32) { scale(g, float32(math.NaN())) },
		"shifted":     func(g []float32) { first := g[0]; copy(g, g[1:]); g[len(g)-1] = first },
		"a lost term": func(g []float32) { g[0] = 0 },
		"a row extra": func(g []float32) { g[len(g)-1] *= 1.5 },
		"reversed":    func(g []float32) { slices.Reverse(g) },
	}
	for name, fault := range faults {
		for param := range 4 {
			o := testnet.Options{Inputs: 3, Hidden: 5, Outputs: 4, Batch: 8, Loss: "cross_entropy", Plant: func(p int, g []float32) {
				if p == param {
					fault(g)
				}
			}}
			r := in{net: testnet.New(o)}.run("gradcheck")
			r.want(t, 1, "fail", "gradient check: wrong for "+testnet.New(o).Params[param].Name)
			if strings.Count(r.stdout, "fail") != 1 {
				t.Errorf("%s in tensor %d: %s", name, param, r.stdout)
			}
		}
	}
}

func TestGradcheckOfNothing(t *testing.T) {
	net := testnet.New(testnet.Options{Inputs: 2, Outputs: 1, Batch: 8, Plant: func(_ int, g []float32) { clear(g) }})
	net.LossOf = func([]float32, engine.Target, int) float64 { return 1 }
	in{net: net}.run("gradcheck").want(t, 1, "not checked", "no gradient reaches any parameter")
}

func scale(g []float32, by float32) {
	for i := range g {
		g[i] *= by
	}
}

func TestProgramName(t *testing.T) {
	none := func(string) string { return "" }
	for _, c := range []struct {
		args []string
		env  func(string) string
		want string
	}{
		{nil, none, "trainer"}, {[]string{""}, none, "trainer"}, {[]string{"./net", "x"}, none, "./net"},
		{[]string{"/var/cache/go-build123/b001/exe/net"}, none, "net"},
		{[]string{"/var/cache/go-build123/b001/exe/net"}, func(string) string { return "dnngen run net.yaml --" }, "dnngen run net.yaml --"},
	} {
		if got := programName(c.args, c.env); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	i := in{net: spirals()}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		r := i.must(t, args...)
		for _, want := range []string{"Usage:", "Commands:", "train ", "gradcheck", "Data sources:", "Exit status:"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("%v lacks %q", args, want)
			}
		}
		if r.stderr != "" {
			t.Errorf("%v: %s", args, r.stderr)
		}
		for _, later := range []string{"diagnose", "tune", "onnx"} {
			if strings.Contains(r.stdout, later) {
				t.Errorf("%v shows %s, which is not there", args, later)
			}
		}
	}
	for _, c := range commands() {
		for _, args := range [][]string{{"help", c.name}, {c.name, "--help"}, {c.name, "-h"}} {
			r := i.must(t, args...)
			if !strings.Contains(r.stdout, "Usage:") || strings.Contains(r.stdout, "%!") {
				t.Errorf("%v: %s", args, r.stdout)
			}
			for line := range strings.Lines(r.stdout) {
				if len([]rune(line)) > 120 {
					t.Errorf("%v: a line of %d: %s", args, len(line), line)
				}
			}
		}
	}
	i.must(t, "help", "train").want(t, 0, "--epochs N", "(default 3)", "--shuffle=BOOL", "Examples:", "trainer --run runs/try --resume")
	i.run("help", "trian").want(t, 2, `did you mean "train"?`)
	i.run("help", "train", "eval").want(t, 2)
	i.must(t, "version").want(t, 0, "spirals, made by dnngen")
	i.must(t, "--version").want(t, 0, "spirals, made by dnngen")
	var v versions
	if r := i.must(t, "version", "--json"); json.Unmarshal([]byte(r.stdout), &v) != nil || v.Name != "spirals" || v.Go != runtime.Version() {
		t.Errorf("version --json: %s", r.stdout)
	}
}

func TestRefusedCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "r")
	write(t, "one.csv", "a\n1\n")
	write(t, "file", "junk")
	plain := in{net: testnet.New(testnet.Options{Inputs: 2, Hidden: 16, Outputs: 3, Batch: 16, Loss: "cross_entropy", Momentum: 0.9})}
	for _, c := range []struct {
		in   in
		args string
		code int
		text string
	}{
		{i, "eval", 2, "--model FILE is needed"},
		{i, "eval --model none", 6, "there is no model at none: train first, or name a model.safetensors, a checkpoint or a run directory by --model"},
		{i, "predict --model none/model.safetensors --input rows.csv", 6, "there is no model at none/model.safetensors: train first"},
		{i, "eval --model", 2, "--model needs a value"},
		{plain, "eval --model r/model.safetensors", 2, "--data SRC is needed"},
		{i, "eval --model none", 6, "none"},
		{i, "eval --model file", 6, "file: safetensors: byte"},
		{in{net: moons()}, "eval --model r", 6, "does not hold the parameters of moons"},
		{in{net: moons()}, "eval --model r/checkpoint", 6, "from another spec"},
		{i, "eval --model r --data 0%", 2, "--data 0% is no share of the rows"},
		{i, "eval --model r --data none.csv", 4, "none.csv"},
		{i, "eval --model r --device cuda", 7, "not compiled in"},
		{i, "predict --model r", 2, "--input SRC is needed"},
		{i, "predict --input one.csv", 2, "--model FILE is needed"},
		{i, "predict --model r --input one.csv -o p.txt", 2, ".npz, .csv or -"},
		{i, "predict --model r --input one.csv", 4, "one.csv"},
		{i, "predict --model r --input builtin:spirals -o none/p.csv", 7, "none"},
		{i, "predict --model r --input one.csv --json", 2, "--json needs -o FILE"},
		{i, "predict --out p.csv", 2, "predict has no flag --out"},
		{i, "export --model r", 2, "--safetensors FILE is needed"},
		{i, "export --model none --safetensors x", 6, "none"},
		{i, "gradcheck --model none", 6, "none"},
		{i, "info now", 2, `takes no argument "now"`},
		{i, "gradcheck --sed 1", 2, `did you mean "--seed"?`},
	} {
		c.in.run(strings.Fields(c.args)...).want(t, c.code, c.text)
	}
	if _, err := os.Stat("p.txt"); err == nil {
		t.Error("an output was made")
	}
}

// No command line ends in a panic, whatever it says.
func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"", "help\x00train", "--epochs\x001\x00--run\x00r", "eval\x00--model=x", "-o\x00-", "--\x00x", "train\x00--lr=1e999", "predict\x00--input=-\x00--model\x00."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		t.Chdir(t.TempDir())
		args := append(strings.Split(line, "\x00"), "--steps=1", "--run=r")
		code := in{net: spirals()}.run(args...).code
		if code < 0 || code > 7 {
			t.Errorf("exit %d", code)
		}
	})
}
