package trainer

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

func TestBench(t *testing.T) {
	for _, i := range []in{{net: spirals()}, {net: moons()}, {net: sine()}} {
		var got benchReport
		r := i.must(t, "bench", "--seconds", "0.2", "--peak=false", "--json")
		if r.stderr != "" {
			t.Errorf("progress without a terminal: %q", r.stderr)
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || strings.Count(r.stdout, "\n") != 1 {
			t.Fatalf("%q, %v", r.stdout, err)
		}
		if got.Event != "bench" || got.Network != i.net.Name || got.Data != i.net.Data.Train || got.Batch != i.net.Batch || got.Checked < 3 {
			t.Errorf("%+v", got)
		}
		if n := len(got.Results); n != 1 { // by one thread and by all is the same
			t.Errorf("%d results of a device that takes one thread", n)
		}
		for _, x := range got.Results {
			if !(x.Step.Median > 0 && x.Samples > 0 && x.GFLOPS > 0) || x.Threads < 1 || x.Name != i.net.Devices[len(i.net.Devices)-1].Name {
				t.Errorf("%+v", x)
			}
		}
	}
	in{net: spirals()}.must(t, "bench", "--seconds", "0.1", "--data", "random", "--threads", "1,2").
		want(t, 0, "GFLOP/s", "of peak", "random", "losses of")
}

func TestBenchRefuses(t *testing.T) {
	i := in{net: spirals()}
	i.run("bench", "--seconds", "-1").want(t, exitUsage, "--seconds")
	i.run("bench", "--threads", "many").want(t, exitUsage, "--threads")
	i.run("bench", "--device", "gpu").want(t, exitUsage, "gpu")
	i.run("bench", "--devices", "gpu").want(t, exitUsage, "gpu")
	i.run("bench", "--devices", "cuda").want(t, exitResources, "cuda")
	i.run("bench", "--data", "nothing.csv").want(t, exitData, "nothing.csv")
}

func TestBenchIsDriven(t *testing.T) {
	dir := t.TempDir()
	requests := `{"do":"describe"}
{"do":"open","device":"` + spirals().Devices[0].Name + `","threads":1}
{"do":"losses","id":0,"steps":3,"rows":16}
{"do":"time","id":0,"steps":2,"rows":4,"fresh":true}
{"do":"time","id":0,"steps":2,"rows":17}
{"do":"export","dir":` + quote(filepath.Join(dir, "out")) + `}
`
	r := in{net: spirals(), stdin: requests}.must(t, "bench", "--drive")
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d answers:\n%s", len(lines), r.stdout)
	}
	for i, want := range []string{`"batch":16`, `{}`, `"losses":[`, `"seconds":`, `"error":`, `{}`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("answer %d is %s, want %s", i, lines[i], want)
		}
	}
	f, err := safetensors.Read(fsys.OS(), filepath.Join(dir, "out", problemInit))
	if err != nil || len(f.Tensors) != len(spirals().Params) {
		t.Errorf("exported %v, %v", f, err)
	}
	if !strings.HasPrefix(read(t, dir, "out", problemData), "PK") {
		t.Error("the rows are not a zip file")
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string: it cannot fail
	return string(b)
}
