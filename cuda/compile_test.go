package cuda_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/op"
)

// TestClang compiles every reference network to PTX, for two generations of
// GPUs, without a toolkit, in one precision by turns or, with CUDA_ALL in the
// environment, in each. The kernels must not need the stack.
func TestClang(t *testing.T) {
	t.Parallel()
	clang := ""
	for v := 22; v >= 16 && clang == ""; v-- {
		if path, err := exec.LookPath(fmt.Sprintf("clang-%d", v)); err == nil {
			clang = path
		}
	}
	if clang == "" {
		t.Skip("no clang-16 or newer: the kernels are not compiled for a GPU")
	}
	dir := t.TempDir()
	var text strings.Builder
	text.Write(cuda.TensorRuntime())
	kernels := 0
	for i, c := range golden.Load(t) {
		for k, precision := range op.Precisions {
			if os.Getenv("CUDA_ALL") == "" && i%len(op.Precisions) != k {
				continue
			}
			pl := planIn(t, c.Net, k)
			if i < 2*len(op.Precisions) {
				pl = withLibraries(t, pl) // and what stands around a library's products
				pl.Fused = nil
			}
			// Many networks in one file: each has its names to itself.
			name := c.Name + "_" + precision.Name
			fmt.Fprintf(&text, "#undef DNN_KERNEL\n#define DNN_KERNEL(name, threads, blocks) extern \"C\" __global__ void __launch_bounds__(threads, blocks) %s_##name(float *m)\n", name)
			fmt.Fprintf(&text, "namespace %s {\n%s}\n", name, cuda.Kernels(pl))
			kernels += len(pl.Launches())
		}
	}
	source := filepath.Join(dir, "kernels.cu")
	if err := os.WriteFile(source, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"sm_80", "sm_90"} {
		t.Run(arch, func(t *testing.T) {
			out := filepath.Join(dir, arch+".ptx")
			cmd := exec.Command(clang, "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch="+arch, "-nocudainc", "-nocudalib",
				"-S", "-O2", "-Wall", "-Werror", "-Wno-unknown-cuda-version", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable", "-o", out, source)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%.4000s", err, text)
			}
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			ptx := string(b)
			if n := strings.Count(ptx, ".visible .entry"); n != kernels {
				t.Errorf("%d kernels, want %d", n, kernels)
			}
			for _, bad := range []string{".local", ".extern .func"} {
				if strings.Contains(ptx, bad) {
					t.Errorf("the code has %s: a variable on the stack, or a function that is nowhere", bad)
				}
			}
		})
	}
}
