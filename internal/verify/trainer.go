package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// command prepares a command line of the trainer. Variables that would change
// what it does are left out.
func (v *verifier) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, v.Trainer, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "DNNGEN_") })
	cmd.Env = append(cmd.Env, "DNNGEN_DATA="+v.DataDir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs the trainer and returns what it wrote to standard output.
func (v *verifier) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := v.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, v.explain(ctx, args[0], err, stderr.String())
	}
	return out, nil
}

// explain makes the error of a run that failed.
func (v *verifier) explain(ctx context.Context, command string, err error, stderr string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	return fmt.Errorf("%s: %w: %s", command, err, lines[len(lines)-1])
}

// runDir returns a directory for one more run.
func (v *verifier) runDir() string {
	v.runs++
	return filepath.Join(v.Temp, fmt.Sprintf("run%d", v.runs))
}

// devices lists the devices to check, which are here.
func (v *verifier) devices(ctx context.Context) ([]string, error) {
	out, err := v.run(ctx, "info", "--json")
	if err != nil {
		return nil, err
	}
	var info struct {
		Devices []struct {
			Name    string `json:"name"`
			Present bool   `json:"present"`
			Why     string `json:"why"`
		} `json:"devices"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return nil, fmt.Errorf("info: %w", err)
	}
	var here, all []string
	for _, d := range info.Devices {
		all = append(all, d.Name)
		switch {
		case v.Device != "" && v.Device != d.Name:
		case d.Present:
			here = append(here, d.Name)
		case v.Device != "":
			return nil, &NoDevice{v.Device, d.Why}
		}
	}
	if len(here) == 0 {
		return nil, &NoDevice{v.Device, "the trainer has " + strings.Join(all, ", ")}
	}
	return here, nil
}

// NoDevice says that the device to check is not here, and why.
type NoDevice struct{ Device, Why string }

func (e *NoDevice) Error() string { return fmt.Sprintf("device %s: %s", e.Device, e.Why) }

// eachLine hands f every line that is not empty.
func eachLine(text []byte, f func([]byte) error) error {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := f(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// metricsStep is a step's line of the metrics.
type metricsStep struct {
	Event string  `json:"event"`
	Step  int64   `json:"step"`
	Loss  float64 `json:"loss"`
	LR    float64 `json:"lr"`
}

// steps reads the steps from the metrics of a run.
func steps(run string) ([]metricsStep, error) {
	text, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		return nil, err
	}
	var list []metricsStep
	err = eachLine(text, func(line []byte) error {
		var s metricsStep
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		if s.Event == "step" {
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// model reads the parameters of a run, in the order of the program.
func (v *verifier) model(run string) ([][]float32, error) {
	f, err := safetensors.Read(fsys.OS(), modelFile(run))
	if err != nil {
		return nil, err
	}
	params := make([][]float32, len(v.p.Params))
	for i, q := range v.p.Params {
		t := f.Tensor(q.Name)
		if t == nil || len(t.Data) != q.Size() {
			return nil, fmt.Errorf("%s lacks %s %v", modelFile(run), q.Name, q.Shape)
		}
		params[i] = t.Data
	}
	return params, nil
}

func modelFile(run string) string { return filepath.Join(run, "model.safetensors") }
