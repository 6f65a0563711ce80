package trainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// A run that is stopped by --steps and taken up ends as one that never stopped,
// bit for bit, whether it stops within an epoch or at its end.
func TestResumeIsExact(t *testing.T) {
	for name, net := range map[string]*engine.Network{"spirals": spirals(), "moons": moons(), "sine": sine()} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			i := in{net: net}
			args := []string{"--epochs", "2", "--log-every", "3"}
			i.must(t, append(args, "--run", "whole")...)
			total := loadCheckpoint(t, "whole").Meta.State.Step
			for _, cut := range []int64{1, 2, total/2 - 1, total / 2, total/2 + 1, total - 1, total} {
				run := "cut" + strconv.FormatInt(cut, 10)
				i.must(t, append(args, "--run", run, "--steps", strconv.FormatInt(cut, 10))...)
				if got := loadCheckpoint(t, run).Meta.State.Step; got != cut {
					t.Fatalf("stopped at step %d, not %d", got, cut)
				}
				i.must(t, "--run", run, "--resume", "--steps", "0")
				sameRun(t, run, "whole")
			}
		})
	}
}

// A device that makes many steps at a call leaves the files of one that makes
// one, wherever it is stopped and taken up.
func TestManyStepsAtACall(t *testing.T) {
	t.Chdir(t.TempDir())
	o := testnet.Options{
		Name: "spirals", Inputs: 2, Hidden: 16, Outputs: 3, Batch: 16, Loss: "cross_entropy", Output: "argmax",
		Momentum: 0.9, Epochs: 3, Data: builtin("spirals"),
	}
	o.Front = []engine.Device{testnet.AheadDevice("cuda:0", o, engine.MostSteps)}
	i := in{net: testnet.New(o)}
	args := []string{"--epochs", "2", "--log-every", "3"}
	i.must(t, append(args, "--run", "one", "--device", "cpu:go")...).want(t, 0, "rows and")
	i.must(t, append(args, "--run", "many", "--device", "cuda:0")...).want(t, 0, "kept on the device")
	sameRun(t, "many", "one")
	o.Batch = 1 << 12
	in{net: testnet.New(o)}.must(t, "--run", "wide", "--epochs", "1", "--device", "cpu").want(t, 0, "fewer than a batch of 4096: a step takes all")
	o.Batch = 16
	total := loadCheckpoint(t, "one").Meta.State.Step
	for _, cut := range []int64{1, 7, total/2 + 5, total - 1} {
		run := "cut" + strconv.FormatInt(cut, 10)
		i.must(t, append(args, "--run", run, "--device", "cuda:0", "--steps", strconv.FormatInt(cut, 10))...)
		i.must(t, "--run", run, "--resume", "--steps", "0")
		sameRun(t, run, "one")
	}
	// Calls end where a checkpoint is due.
	var asked []int64
	net := testnet.New(o)
	fresh := net.Devices[0].New
	net.Devices[0].New = func(e engine.Options) (engine.Engine, error) {
		made, err := fresh(e)
		return &asking{Ahead: made.(*testnet.Ahead), asked: &asked}, err
	}
	in{net: net}.must(t, append(args, "--run", "five", "--device", "cuda:0", "--checkpoint-every", "5", "--steps", "12")...)
	if got := fmt.Sprint(asked); got != "[5 5 2]" {
		t.Errorf("steps were made in calls of %s, want 5, 5 and 2", got)
	}
}

// asking notes how many steps it is asked for.
type asking struct {
	*testnet.Ahead
	asked *[]int64
}

func (s *asking) Run(steps []engine.Planned, losses []float64) int {
	*s.asked = append(*s.asked, int64(len(steps)))
	return s.Ahead.Run(steps, losses)
}

func TestResumeWithMoreEpochs(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--epochs", "5", "--run", "whole", "--log-every", "1")
	i.must(t, "--epochs", "2", "--run", "r", "--log-every", "1")
	i.must(t, "--epochs", "5", "--run", "r", "--resume")
	// The schedule of the hand-written network does not look at the epochs, so
	// both trainings are the same.
	sameRun(t, "r", "whole")
	r := i.must(t, "--run", "r", "--resume")
	r.want(t, 0, "nothing was left to train", "raise --epochs")
	sameRun(t, "r", "whole")
}

// Lines that were written after the checkpoint are cut off.
func TestResumeCutsMetrics(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.must(t, "--run", "whole", "--log-every", "1")
	i.must(t, "--run", "r", "--log-every", "1", "--steps", "50")
	f, err := os.OpenFile("r/metrics.jsonl", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"event":"step","step":50,"epoch":0,"loss":9,"lr":9}` + "\n" + `{"event":"st`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	i.must(t, "--run", "r", "--resume", "--steps", "0")
	sameRun(t, "r", "whole")
	// A file that is too short is no reason to fail.
	i.must(t, "--run", "short", "--steps", "50")
	if err := os.Truncate("short/metrics.jsonl", 100); err != nil {
		t.Fatal(err)
	}
	r := i.must(t, "--run", "short", "--resume", "--steps", "0")
	r.want(t, 0, "lacks its last")
	metricsOf(t, read(t, "short", "metrics.jsonl"))
}

func TestResumeNewest(t *testing.T) {
	t.Chdir(t.TempDir())
	i := in{net: spirals()}
	i.run("--resume").want(t, exitRun, "--resume: there is no run in "+filepath.Join("runs", "spirals")+"\n")
	i.must(t, "--steps", "5")
	i.must(t, "--steps", "5")
	i.must(t, "--resume", "--steps", "6")
	if a, b := loadCheckpoint(t, "runs/spirals/001"), loadCheckpoint(t, "runs/spirals/002"); a.Meta.State.Step != 5 || b.Meta.State.Step != 6 {
		t.Errorf("steps %d and %d", a.Meta.State.Step, b.Meta.State.Step)
	}
}

func TestRefusedResumes(t *testing.T) {
	t.Chdir(t.TempDir())
	writeNPZ(t, "data.npz", 40, 2, true)
	i := in{net: spirals()}
	i.must(t, "--run", "r", "--train", "data.npz", "--test", "25%", "--epochs", "4")
	good := read(t, "r", "checkpoint")
	for _, c := range []struct {
		args string
		text string
	}{
		{"--seed 2", "started with seed 1, not 2"},
		{"--shuffle=false", "started with --shuffle=true"},
		{"--epochs 3", "for 4 epochs, which cannot be lowered to 3"},
		{"--steps 1", "more than --steps 1"},
		{"--train builtin:spirals", "the training rows are not those of the run"},
		{"--test 50%", "the training rows are not those of the run"},
		{"--test builtin:spirals", "rows are not those of the run"},
	} {
		r := i.run(append([]string{"--run", "r", "--resume"}, strings.Fields(c.args)...)...)
		r.want(t, 6, c.text)
	}
	// Another file under the same name.
	writeNPZ(t, "data.npz", 41, 2, true)
	i.run("--run", "r", "--resume").want(t, 6, "the training rows are not those of the run", "data.npz (31 rows")
	writeNPZ(t, "data.npz", 40, 2, true)
	// Another spec, with the spec's file gone.
	if err := os.Remove("r/spec.yaml"); err != nil {
		t.Fatal(err)
	}
	other := testnet.New(testnet.Options{Name: "spirals", Inputs: 2, Hidden: 17, Outputs: 3, Batch: 16, Loss: "cross_entropy", Momentum: 0.9, Data: builtin("spirals")})
	in{net: other}.run("--run", "r", "--resume").want(t, 6, "from another spec")
	// A damaged checkpoint, at some places; each prefix and each bit is the
	// matter of package rundir's tests.
	for _, at := range []int{0, 10, 30, len(good) / 2, len(good) - 1} {
		b := []byte(good)
		b[at] ^= 4
		write(t, "r/checkpoint", string(b))
		i.run("--run", "r", "--resume").want(t, 6, "r/checkpoint: byte ")
	}
	write(t, "r/checkpoint", good[:len(good)-5])
	i.run("--run", "r", "--resume").want(t, 6, "byte "+strconv.Itoa(len(good)-5)+": the file is cut off")
	write(t, "r/checkpoint", good)
	i.must(t, "--run", "r", "--resume", "--epochs", "6")
}

func TestResumeKeepsTheDevice(t *testing.T) {
	t.Chdir(t.TempDir())
	net := spirals()
	fast := net.Devices[0]
	fast.Name = "cpu:avx2"
	here := true
	fast.Missing = func() error {
		if here {
			return nil
		}
		return errors.New("this CPU has no AVX2")
	}
	net.Devices = append([]engine.Device{fast}, net.Devices...)
	i := in{net: net}
	i.must(t, "--run", "r", "--steps", "3", "--device", "cpu:go")
	i.must(t, "--run", "r", "--resume", "--steps", "5").want(t, 0, "cpu:go (that of the run)")
	i.must(t, "--run", "r", "--resume", "--steps", "7", "--device", "cpu:avx2").want(t, 0, "made on cpu:go; on cpu:avx2 it rounds differently")
	here = false
	i.must(t, "--run", "r", "--resume", "--steps", "9").want(t, 0, "made on cpu:avx2; on cpu:go it rounds differently")
}

// The disk fills up at each call of a training: the trainer says so with exit
// status 7, or the call did not matter. Afterwards, with room again, the run is
// taken up or started anew, and ends with the same bits.
func TestFullDiskAtEachCall(t *testing.T) {
	t.Chdir(t.TempDir())
	args := []string{"--epochs", "1", "--checkpoint-every", "30", "--log-every", "4", "--quiet"}
	in{net: spirals()}.must(t, append(args, "--run", "whole")...)
	failed := 0
	for at := 1; ; at++ {
		run := filepath.Join("runs", strconv.Itoa(at))
		full := faultfs.Wrap(fsys.OS(), faultfs.Fault{At: at, Err: syscall.ENOSPC, Torn: true, Sticky: true})
		r := in{net: spirals(), fs: full}.run(append(args, "--run", run)...)
		if len(full.Calls()) < at {
			r.want(t, 0)
			break
		}
		call := full.Calls()[at-1]
		if strings.Contains(r.stderr, "panic") || r.code != 0 && r.code != 7 && r.code != 6 && r.code != 4 {
			t.Fatalf("call %d (%+v): exit %d: %s", at, call, r.code, r.stderr)
		}
		if r.code != 0 {
			failed++
			if !strings.Contains(r.stderr, "no space left on device") {
				t.Errorf("call %d (%+v): %s", at, call, r.stderr)
			}
			// What was being written is named, by the name that its reader knows.
			name, _, _ := strings.Cut(filepath.Base(call.Name), ".tmp-")
			if r.code == 7 && call.Op == "write" && name != "lock" && (!strings.Contains(r.stderr, name) || strings.Contains(r.stderr, ".tmp-")) {
				t.Errorf("call %d (%+v) does not name %s: %s", at, call, name, r.stderr)
			}
			// A checkpoint whose directory was not synced is in place, but not promised.
			promised := call.Op != "syncdir" && call.Op != "close"
			if _, err := os.Stat(filepath.Join(run, "checkpoint")); err == nil && promised && !strings.Contains(r.stderr, " whole") {
				t.Errorf("call %d (%+v) does not tell of the checkpoint: %s", at, call, r.stderr)
			}
		}
		again := append(args, "--run", run)
		if _, err := os.Stat(filepath.Join(run, "checkpoint")); err == nil {
			again = append(again, "--resume")
		}
		if r.code == 0 {
			continue
		}
		in{net: spirals()}.must(t, again...)
		sameRun(t, run, "whole")
	}
	if failed < 30 {
		t.Errorf("only %d calls failed", failed)
	}
}

// inHalf is spirals with a GPU that has a second precision, and computes as the
// CPU does.
func inHalf(spec string) *engine.Network {
	n := spirals()
	gpu := n.Devices[0]
	gpu.Name = "cuda:0"
	gpu.Lacks = func(string) error { return nil }
	n.Devices = append([]engine.Device{gpu}, n.Devices...)
	n.Precisions = []engine.Precision{{Name: "fp32"}, {Name: "half", Roundoff: 0x1p-8}}
	n.Precision = spec
	return n
}

// TestPrecision: the flag, the spec's key, and what falls back.
func TestPrecision(t *testing.T) {
	t.Chdir(t.TempDir())
	half := in{net: inHalf("half")}
	half.run("--device", "cuda", "--run", "a").want(t, 0, "cuda:0 in half (")
	half.run("--device", "cuda", "--run", "b", "--precision", "fp32").want(t, 0, "cuda:0 (")
	half.run("--device", "cpu", "--run", "c").want(t, 0, "warning: computing in fp32, not in half: cpu:go has fp32 alone")
	half.run("--device", "cpu", "--run", "d", "--precision", "half").want(t, 7, "device cpu:go: precision half: cpu:go has fp32 alone")
	half.run("--run", "d", "--precision", "quarter").want(t, 2, `"quarter" is not a precision: it is one of fp32, half`)
	in{net: spirals()}.run("--run", "e", "--precision", "fp32").want(t, 0)
	half.run("eval", "--model", "a", "--data", "builtin:spirals/test", "--device", "cpu").want(t, 0, "computing in fp32, not in half")
	half.run("info", "--device", "cuda").want(t, 0, "precision   half")
	half.run("info", "--device", "cpu").want(t, 0, "precision   fp32; computing in fp32, not in half")
	half.run("help", "train").want(t, 0, "fp32, half", "(default half, the spec's; a CPU computes in fp32)")
	half.run("bench", "--devices", "cpu:go,cuda:0", "--precision", "fp32,half", "--seconds", "0.1", "--peak=false", "--threads", "1").
		want(t, 0, "cpu:go ", "cuda:0 ", "cuda:0 half")
	if _, err := os.Stat("d"); err == nil {
		t.Error("an error left a run behind")
	}
}

// TestResumePrecision: a run goes on in its own precision, or says that it
// changes.
func TestResumePrecision(t *testing.T) {
	t.Chdir(t.TempDir())
	half, full := in{net: inHalf("half")}, in{net: inHalf("")}
	full.must(t, "--device", "cuda", "--precision", "half", "--run", "r", "--epochs", "1")
	if c := loadCheckpoint(t, "r"); c.Meta.Precision != "half" {
		t.Fatalf("the checkpoint says %q", c.Meta.Precision)
	}
	r := full.run("--resume", "--run", "r", "--epochs", "2")
	r.want(t, 0, "cuda:0 in half (that of the run)")
	if strings.Contains(r.stderr, "warning") {
		t.Errorf("nothing changes: %s", r.stderr)
	}
	full.run("--resume", "--run", "r", "--epochs", "3", "--precision", "fp32").want(t, 0, "the precision changes from half to fp32 here")
	half.run("--resume", "--run", "r", "--epochs", "4").want(t, 0, "cuda:0 (that of the run)")
	full.must(t, "--device", "cuda", "--precision", "half", "--run", "s", "--epochs", "1")
	full.run("--resume", "--run", "s", "--epochs", "2", "--device", "cpu").want(t, 7, "precision half")
	full.run("--resume", "--run", "s", "--epochs", "2", "--device", "cpu", "--precision", "fp32").want(t, 0, "the run was made on cuda:0")
}
