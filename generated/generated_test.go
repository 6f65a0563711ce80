package generated_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dnngen/dnngen/generated/concrete"
	"github.com/dnngen/dnngen/generated/digits"
	"github.com/dnngen/dnngen/generated/single"
	"github.com/dnngen/dnngen/generated/tumour"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/trainer"
)

// Each checked-in trainer trains on its own data, on every device that is here,
// and its gradients are right.
func TestTrainers(t *testing.T) {
	for _, n := range []*engine.Network{concrete.Network(), digits.Network(), single.Network(), tumour.Network()} {
		t.Run(n.Name, func(t *testing.T) {
			t.Parallel()
			run(t, n, "gradcheck")
			for _, d := range n.Devices {
				if d.Missing() != nil {
					continue
				}
				dir := filepath.Join(t.TempDir(), "run")
				run(t, n, "train", "--epochs", "3", "--device", d.Name, "--run", dir)
				run(t, n, "eval", "--model", dir, "--device", d.Name)
			}
		})
	}
}

// run runs the trainer's command line.
func run(t *testing.T, n *engine.Network, args ...string) {
	t.Helper()
	var out, messages bytes.Buffer
	env := func(string) string { return "" }
	status := trainer.Run(append([]string{n.Name}, args...), env, nil, &out, &messages, n, make(chan os.Signal))
	if status != 0 {
		t.Fatalf("%v: status %d\n%s\n%s", args, status, &out, &messages)
	}
}
