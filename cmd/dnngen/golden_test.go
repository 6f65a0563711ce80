package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// The reference trainings, through the command lines that a person would type,
// on every device of this machine.
func TestGoldenByCommandLine(t *testing.T) {
	env := append(os.Environ(), buildEnv(t)...)
	for _, c := range golden.Load(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			h := &hand{t: t, env: env, dir: t.TempDir()}
			trainer := filepath.Join(h.dir, "trainer")
			h.run("dnngen", "build", filepath.Join(c.Dir, "spec.yaml"), "-o", trainer, "--error-format", "short")
			for _, device := range presentDevices(t, h, trainer) {
				t.Run(device, func(t *testing.T) {
					h := &hand{t: t, env: env, dir: t.TempDir()}
					h.golden(c, trainer, device)
				})
			}
		})
	}
}

// hand runs programs.
type hand struct {
	t   *testing.T
	env []string
	dir string // where they run
}

// run returns what a program wrote to standard output; it must succeed.
func (h *hand) run(program string, args ...string) []byte {
	h.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = h.dir, h.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s %v: %v\n%s", program, args, err, &stderr)
	}
	return out
}

// presentDevices lists the devices of a trainer that are here. The portable one
// always is.
func presentDevices(t *testing.T, h *hand, trainer string) []string {
	t.Helper()
	var info struct {
		Devices []struct {
			Name    string
			Present bool
		}
	}
	if err := json.Unmarshal(h.run(trainer, "info", "--json"), &info); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range info.Devices {
		if d.Present {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 || names[len(names)-1] != "cpu:go" {
		t.Fatalf("devices that are here: %v", names)
	}
	return names
}

// golden trains a case and predicts with what PyTorch trained.
func (h *hand) golden(c *golden.Case, trainer, device string) {
	data, run := filepath.Join(c.Dir, "data.npz"), filepath.Join(h.dir, "run")
	h.run(trainer, "train", "--train", data, "--init", filepath.Join(c.Dir, "init.safetensors"),
		"--shuffle=false", "--device", device, "--run", run, "--log-every", "1")
	if err := c.CheckLosses(losses(h.t, run)); err != nil {
		h.t.Error(err)
	}
	model, err := safetensors.Read(fsys.OS(), filepath.Join(run, "model.safetensors"))
	if err != nil {
		h.t.Fatal(err)
	}
	if len(model.Tensors) != len(c.Final) {
		h.t.Errorf("the model has %d tensors, want %d", len(model.Tensors), len(c.Final))
	}
	for _, p := range model.Tensors {
		if err := c.CheckParam(p.Name, p.Data); err != nil {
			h.t.Error(err)
		}
	}
	out := filepath.Join(h.dir, "predictions.npz")
	h.run(trainer, "predict", "--model", filepath.Join(c.Dir, "final.safetensors"), "--input", data, "--device", device, "-o", out)
	h.predictions(c, out)
}

func losses(t *testing.T, run string) []float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var list []float64
	for line := range bytes.Lines(text) {
		var e struct {
			Event string
			Loss  float64
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "step" {
			list = append(list, e.Loss)
		}
	}
	return list
}

// predictions compares what predict wrote with PyTorch's. Raw outputs are sums
// of at most some hundred terms: a few units of the last digit each.
func (h *hand) predictions(c *golden.Case, name string) {
	b, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	arrays, err := npy.DecodeZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		want []float32
	}{{"raw", c.Raw}, {"output", c.Output}} {
		got := arrays[part.name]
		if got == nil || got.Len() != len(part.want) {
			h.t.Fatalf("%s of predict has the wrong size", part.name)
		}
		for i, want := range part.want {
			if v := got.Float[i]; !near(v, want) {
				h.t.Fatalf("%s[%d] is %v, want %v", part.name, i, v, want)
			}
		}
	}
}

func near(a, b float32) bool {
	const tolerance = 2e-5
	return a == b || max(a-b, b-a) <= tolerance*max(1, b, -b)
}
