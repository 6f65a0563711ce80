//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/internal/runner"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/fakecuda"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// libraryTrainings are a training in each precision, all of whose products a
// library may make.
func libraryTrainings(t *testing.T) (list []*training) {
	for i, precision := range op.Precisions {
		tr := smallIn(t, "lib_"+precision.Name, i)
		tr.plan, tr.options = withLibraries(t, tr.plan), libraries
		list = append(list, tr)
	}
	return list
}

// tiny is a training of five products, all of which a library may make.
func tiny(t *testing.T) *training {
	b := nettest.New("tiny", 5).Linear(9, true)
	row, set, ok := op.Find(op.Activations, "tanh")
	if !ok {
		t.Fatal("no tanh")
	}
	loss, of, ok := op.Find(op.Losses, "mse")
	if !ok {
		t.Fatal("no mse")
	}
	net := b.Activation(row, set).Linear(3, true).Batch(20).Loss(loss, of).Network()
	tr := newTraining("tiny", withLibraries(t, planOf(t, net)), 5)
	tr.options = libraries
	return tr
}

// noFused is a GPU whose blocks have the shared memory that a layered pass takes,
// and too little for a fused one.
func noFused(t *testing.T, pl *plan.Plan) string {
	layered := *pl
	layered.Fused = nil
	need, most := 0, 227<<10
	for _, l := range layered.Launches() {
		need = max(need, l.Shared)
	}
	for _, f := range pl.Fused {
		most = min(most, f.Shared-1)
	}
	if need > most {
		t.Fatalf("a layered pass takes %d bytes of shared memory: more than a fused one, %d", need, most+1)
	}
	return fmt.Sprintf("shared=%d", most)
}

// library asks for trainings with the fake library.
type library struct {
	t      *testing.T
	binary string
	find   []string // the environment that finds the fakes
	gpu    string   // as the fake driver has it
}

// ask serves a request, with kernels that the fake driver takes for slow.
func (l *library) ask(q *runner.Request, kernels, slow string, env ...string) runner.Response {
	l.t.Helper()
	report := filepath.Join(l.t.TempDir(), "report")
	r := serve(l.t, l.binary, q, slices.Concat(l.find, []string{"FAKECUDA=" + l.gpu, "FAKECUDA_REPORT=" + report,
		"FAKECUDA_KERNELS=" + kernels, "FAKECUDA_SLOW=" + slow}, env)...)
	if r.Err != "" {
		l.t.Fatal(r.Err)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, want := range []string{"blocks=0\n", "graphs=0\n", "events=0\n", "wrong=\n"} {
		if !strings.Contains("\n"+string(text), "\n"+want) {
			l.t.Errorf("%v: the driver reports\n%swant %s", env, text, want)
		}
	}
	if r.Allocs != 0 {
		l.t.Errorf("%v allocations a step", r.Allocs)
	}
	return r
}

func notesHave(r runner.Response, want string) bool {
	return slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, want) })
}

// TestLibrary trains with a library that is not there, whose products are taken
// where they are faster, agree, and nothing fails.
func TestLibrary(t *testing.T) {
	t.Parallel()
	emulator.Compiler(t)
	list := libraryTrainings(t)
	l := &library{t: t, find: fakecuda.Variables(fakecuda.Directory(t), fakecuda.BLASDirectory(t))}
	l.binary = build(t, list, func(pl *plan.Plan, _ []byte) map[string][]byte {
		if !pl.Tensor() {
			return map[string][]byte{"kernels.sm_80.ptx": fakePTX(pl)}
		}
		return map[string][]byte{pl.Precision.Name + "/kernels.sm_80.ptx": fakePTX(pl)}
	})
	for i, tr := range list {
		t.Run(tr.plan.Precision.Name, func(t *testing.T) {
			one := *l
			one.t, one.gpu = t, noFused(t, tr.plan)
			kernels := emulator.Library(t, tr.plan)
			cache := "XDG_CACHE_HOME=" + t.TempDir()
			if len(tr.plan.Libraries) != 8 {
				t.Fatalf("%d products, want 8", len(tr.plan.Libraries))
			}
			// All but the first are faster by the library.
			var names []string
			for _, p := range tr.plan.Libraries[1:] {
				names = append(names, tr.plan.Pass[p.Launch].Name)
			}
			slow := strings.Join(names, ",")
			told := fmt.Sprintf("products by cuBLASLt 12.9.3: %s, of 8 that were tried", strings.Join(names, ", "))
			r := one.ask(tr.request(), kernels, slow, cache)
			if !notesHave(r, told) || len(r.Notes) != 1 || !strings.HasPrefix(r.Products, told) {
				t.Errorf("notes are %q, info says %q, want %q", r.Notes, r.Products, told)
			}
			var err error
			if i == 0 {
				err = tr.check(&result{r.Losses, r.Slots, r.Raw})
			} else {
				err = tr.checkPerturbed(&result{r.Losses, r.Slots, r.Raw}, op.Precisions[i].Roundoff())
			}
			if err != nil {
				t.Error(err)
			}
			// What was chosen is remembered, and gives the same bits.
			again := one.ask(tr.request(), kernels, "", cache)
			if !notesHave(again, told) || !sameBits(again, r) {
				t.Errorf("the next run: notes are %q", again.Notes)
			}
			own := one.ask(tr.request(), kernels, slow, cache, "DNNGEN_CUBLASLT=off")
			if len(own.Notes) != 0 || own.Products != "products by our own kernels: DNNGEN_CUBLASLT is off" {
				t.Errorf("turned off: notes are %q, info says %q", own.Notes, own.Products)
			}
			if sameBits(own, r) {
				t.Error("turned off, the bits are those of the library")
			}
		})
	}
}

// TestLibraryFaults wants our own kernels wherever something is wrong with the
// library, and a line that says so.
func TestLibraryFaults(t *testing.T) {
	t.Parallel()
	emulator.Compiler(t)
	tr := tiny(t)
	l := &library{t: t, find: fakecuda.Variables(fakecuda.Directory(t), fakecuda.BLASDirectory(t))}
	l.binary = build(t, []*training{tr}, func(pl *plan.Plan, _ []byte) map[string][]byte {
		return map[string][]byte{"kernels.sm_80.ptx": fakePTX(pl)}
	})
	kernels := emulator.Library(t, tr.plan)
	var names []string
	for _, p := range tr.plan.Libraries {
		names = append(names, tr.plan.Pass[p.Launch].Name)
	}
	slow, all := strings.Join(names, ","), fmt.Sprintf("of %d that were tried", len(names))
	directory := t.TempDir()
	cache := "XDG_CACHE_HOME=" + directory
	own := l.ask(tr.request(), kernels, slow, "DNNGEN_CUBLASLT=off")
	if r := l.ask(tr.request(), kernels, slow, cache); !notesHave(r, all) {
		t.Errorf("notes are %q", r.Notes)
	}
	files, err := filepath.Glob(filepath.Join(directory, "dnngen", "products", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	// A file of something else is as good as none.
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", "null", strings.Replace(string(good), "Fake GPU 0", "Other GPU", 1), strings.Replace(string(good), `"ways"`, `"way"`, 1),
		// So are ways that the library does not offer.
		strings.ReplaceAll(string(good), `"cublaslt `, `"cublaslt 9`)} {
		if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := l.ask(tr.request(), kernels, "", cache); !notesHave(r, "none is faster by it") || !sameBits(r, own) {
			t.Errorf("with %q remembered: notes are %q", text, r.Notes)
		}
	}
	cache = "XDG_CACHE_HOME=/dev/null"
	if r := l.ask(tr.request(), kernels, slow, cache); !notesHave(r, "could not be remembered") || !notesHave(r, all) {
		t.Errorf("with no cache: notes are %q", r.Notes)
	}
	if r := l.ask(tr.request(), kernels, slow, cache, "FAKECUBLASLT=wrong=1"); !notesHave(r, "is not used: a number is") || !notesHave(r, "none is faster") || !sameBits(r, own) {
		t.Errorf("with a library that is wrong: notes are %q", r.Notes)
	}
	room := fmt.Sprintf("FAKECUDA=memory=%d", 4*tr.plan.Total+100<<20)
	if r := l.ask(tr.request(), kernels, slow, cache, room); !notesHave(r, "is not tried: with it the network needs") || !sameBits(r, own) {
		t.Errorf("with little memory: notes are %q", r.Notes)
	}
	if r := l.ask(tr.request(), kernels, slow, cache, "DNNGEN_CUBLASLT=yes"); !notesHave(r, `DNNGEN_CUBLASLT is "yes", and may be off or nothing`) || !sameBits(r, own) {
		t.Errorf("with another setting: notes are %q", r.Notes)
	}
	for _, c := range []struct{ fault, want string }{
		{"fail=cublasLtCreate", "cublasLtCreate: cuBLAS status 13"},
		{"fail=cublasLtMatmulDescCreate", "cublasLtMatmulDescCreate: cuBLAS status 13"},
		{"fail=cublasLtMatmulDescSetAttribute", "cublasLtMatmulDescSetAttribute: cuBLAS status 13"},
		{"fail=cublasLtMatrixLayoutCreate,at=2", "cublasLtMatrixLayoutCreate: cuBLAS status 13"},
		{"fail=cublasLtMatmulPreferenceCreate,at=5", "cublasLtMatmulPreferenceCreate: cuBLAS status 13"},
		{"fail=cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulPreferenceSetAttribute: cuBLAS status 13"},
		{"fail=cublasLtMatmulAlgoGetHeuristic,status=15", "cublasLtMatmulAlgoGetHeuristic: cuBLAS status 15, CUBLAS_STATUS_NOT_SUPPORTED"},
		{"none=1", "knows no way for a product"},
		{"fail=cublasLtMatmul", "cublasLtMatmul: cuBLAS status 13"},
		{"fail=cublasLtMatmul,capturing=1", "cublasLtMatmul: cuBLAS status 13"},
	} {
		r := l.ask(tr.request(), kernels, slow, cache, "FAKECUBLASLT="+c.fault)
		if len(r.Notes) != 1 || !notesHave(r, "cuBLASLt 12.9.3 is not used, all products are made by our own kernels: ") || !notesHave(r, c.want) || !sameBits(r, own) {
			t.Errorf("%s: notes are %q, want %q", c.fault, r.Notes, c.want)
		}
	}
	for _, name := range []string{"cublasLtDestroy", "cublasLtMatmulDescDestroy", "cublasLtMatrixLayoutDestroy", "cublasLtMatmulPreferenceDestroy"} {
		if r := l.ask(tr.request(), kernels, slow, cache, "FAKECUBLASLT=fail="+name); !notesHave(r, all) {
			t.Errorf("%s fails: notes are %q", name, r.Notes)
		}
	}
}
