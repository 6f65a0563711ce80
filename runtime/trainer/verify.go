package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"runtime"
	"strings"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
)

var verifyCommand = &command{
	name:  "verify",
	short: "check that devices and numbers of threads train to the same bits",
	args:  "[OPTION]...",
	long: `Trains some steps on every device that is here, by one thread and by all, from
the same parameters on the same rows, full batches and short ones. It prints a
line for each training, with the SHA-256 of its losses, its parameters and the
optimizer's state. Any number of threads, and both vector instruction sets
(cpu:avx512 and cpu:avx2), must give the same bits; cpu:go and each GPU round in
ways of their own, and must give theirs again.

The exit status is 1 where bits differ, and 5 where the training gives NaN or
infinity: a smaller --lr helps. What these devices compute is compared with
exact arithmetic by 'dnngen verify'.`,
	examples: []string{"verify", "verify --steps 500 --json"},
	define: func(a *app, fs *flag.FlagSet) func() error {
		v := &verifyFlags{}
		fs.IntVar(&v.steps, "steps", 50, "make `N` steps in each training")
		fs.StringVar(&v.data, "data", "", "train on the rows of `SRC`, or random ones by the name random; empty: the\nspec's, or random ones where it has none")
		fs.Uint64Var(&v.seed, "seed", a.net.Seed, "draw parameters and random rows from seed `N`")
		fs.Float64Var(&v.lr, "lr", a.net.LR, "train at the learning rate `X`, without a schedule")
		fs.BoolVar(&v.json, "json", false, "print one JSON object for each training")
		return func() error { return a.verify(v) }
	},
}

type verifyFlags struct {
	steps int
	data  string
	seed  uint64
	lr    float64
	json  bool
}

// sameBits is what verify tells of one training, as JSON.
type sameBits struct {
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	Steps   int    `json:"steps"`
	Sum     string `json:"sha256"`
	// With is the first training that must have the same bits; empty for that one.
	With string `json:"with,omitempty"`
	Same bool   `json:"same"`
}

func (a *app) verify(f *verifyFlags) error {
	if f.steps < 1 {
		return usage("--steps must be at least 1")
	}
	if lr := float32(f.lr); !(lr-lr == 0) {
		return usage("--lr must be a number that 32 bits hold")
	}
	p, source, err := a.problem(&benchFlags{data: f.data, seed: f.seed})
	if err != nil {
		return err
	}
	p.LR = float32(f.lr)
	devices, err := a.benchDevices("", "")
	if err != nil {
		return err
	}
	if !f.json {
		a.stdout.printf("%s: %d steps in each training; rows: %s\n", a.net.Name, f.steps, source)
	}
	first := map[string]sameBits{} // by what must be alike
	var differ []string
	for _, d := range devices {
		for _, threads := range []int{1, max(2, runtime.GOMAXPROCS(0))} {
			sum, err := a.trainedSum(p, d, threads, f.steps)
			if err != nil {
				return err
			}
			threads = d.ThreadsOf(threads)
			r := sameBits{Device: d.Name, Threads: threads, Steps: f.steps, Sum: sum, Same: true}
			kind := device.Rounding(d.Name)
			if before, ok := first[kind]; ok {
				r.With = fmt.Sprintf("%s, %s", before.Device, threadsText(before.Threads))
				if r.Same = before.Sum == sum; !r.Same {
					differ = append(differ, fmt.Sprintf("%s with %s", d.Name, threadsText(threads)))
				}
			} else {
				first[kind] = r
			}
			if err := a.tellBits(r, f.json); err != nil {
				return err
			}
		}
	}
	if differ != nil {
		return fmt.Errorf("other bits: %s", strings.Join(differ, "; "))
	}
	return nil
}

func threadsText(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

func (a *app) tellBits(r sameBits, asJSON bool) error {
	if asJSON {
		return a.stdout.object(r)
	}
	verdict := ""
	switch {
	case r.With == "":
	case r.Same:
		verdict = "  the same bits as " + r.With
	default:
		verdict = "  OTHER BITS than " + r.With
	}
	a.stdout.printf("%-11s %-10s  %.16s%s\n", r.Device, threadsText(r.Threads), r.Sum, verdict)
	a.stdout.flush()
	return nil
}

// trainedSum makes a training and returns the SHA-256 of what it gave.
func (a *app) trainedSum(p *bench.Problem, d *device.Choice, threads, steps int) (string, error) {
	e, err := (&deviceFlags{threads: threads}).start(d)
	if err != nil {
		return "", err
	}
	defer e.Close()
	for i, start := range p.Params {
		start(func(first int, values []float32) { e.Write(0, i, first, values) })
	}
	hash := sha256.New()
	word := make([]byte, 8)
	batches := p.Rows / p.Batch
	for step := range steps {
		if err := a.ctx.Err(); err != nil {
			return "", a.cause(err)
		}
		lo, rows := step%batches*p.Batch, p.Batch
		if step%5 == 4 {
			rows = 1 + step%p.Batch // short batches end otherwise than full ones
		}
		h := engine.Hyper{LR: p.LR, Momentum: p.Momentum, Step: int64(step + 1)}
		loss := e.Step(p.X[lo*p.Inputs:(lo+rows)*p.Inputs], p.Y.Rows(lo, lo+rows, p.Outputs), rows, h)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return "", &failure{exitNonFinite, fmt.Errorf("%s: the loss of step %d is %v, and nothing can be compared after it; try a smaller --lr", d.Name, step, loss)}
		}
		binary.LittleEndian.PutUint64(word, math.Float64bits(loss))
		hash.Write(word)
	}
	piece := a.net.Piece()
	for slot := range 1 + p.States {
		for i, param := range a.net.Params {
			for lo, hi := range engine.Pieces(param.Size()) {
				e.Read(slot, i, lo, piece[:hi-lo])
				for _, value := range piece[:hi-lo] {
					binary.LittleEndian.PutUint32(word, math.Float32bits(value))
					hash.Write(word[:4])
				}
			}
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}
