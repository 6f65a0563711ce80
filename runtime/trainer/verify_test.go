package trainer

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// fronted is a network with vector devices, which compute as the portable one
// does unless change says otherwise.
func fronted(change func(device string, threads int, e engine.Engine) engine.Engine) *engine.Network {
	o := testnet.Options{Name: "bits", Inputs: 3, Hidden: 4, Outputs: 2, Batch: 6, Momentum: 0.5, LR: 0.05}
	for _, name := range []string{"cpu:avx512", "cpu:avx2"} {
		o.Front = append(o.Front, engine.Device{
			Name: name, Missing: func() error { return nil },
			Threads: func(asked int) int { return asked },
			New: func(eo engine.Options) (engine.Engine, error) {
				return change(name, eo.Threads, testnet.Engine(o)), nil
			},
		})
	}
	return testnet.New(o)
}

// nudged changes one number's last bit when it is read.
type nudged struct{ engine.Engine }

func (n nudged) Read(slot, i, first int, dst []float32) {
	n.Engine.Read(slot, i, first, dst)
	if slot == 1 && i == 1 {
		dst[len(dst)-1] = math.Float32frombits(math.Float32bits(dst[len(dst)-1]) ^ 1)
	}
}

func TestVerify(t *testing.T) {
	right := fronted(func(_ string, _ int, e engine.Engine) engine.Engine { return e })
	r := in{net: right}.must(t, "verify", "--json", "--steps", "12")
	var list []sameBits
	for line := range strings.Lines(r.stdout) {
		var b sameBits
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	if len(list) != 6 {
		t.Fatalf("%d trainings of 3 devices", len(list))
	}
	alone := 0
	for _, b := range list {
		if !b.Same || b.Steps != 12 || len(b.Sum) != 64 || b.Threads < 1 {
			t.Errorf("%+v", b)
		}
		if b.Device == "cpu:go" && b.Threads != 1 {
			t.Errorf("a device that takes one thread is told to use %d", b.Threads)
		}
		if b.With == "" {
			alone++
		}
	}
	// The first of the vector devices, and the portable one.
	if alone != 2 {
		t.Errorf("%d trainings stand for themselves", alone)
	}
	in{net: right}.must(t, "verify").want(t, 0, "50 steps", "rows: random", "cpu:avx2    1 thread", "the same bits as")
	// More steps, other rows and another rate give other bits.
	for _, args := range []string{"--steps 13", "--steps 12 --seed 3", "--steps 12 --lr 0.01"} {
		other := in{net: right}.must(t, append([]string{"verify", "--json"}, strings.Fields(args)...)...)
		if strings.Contains(other.stdout, list[0].Sum) {
			t.Errorf("%s gives the same bits", args)
		}
	}
}

// TestVerifyFinds: one bit of the optimizer's state, on one device or with one
// number of threads, is found.
func TestVerifyFinds(t *testing.T) {
	for _, c := range []struct {
		device  string
		threads func(int) bool
		want    string
	}{
		{"cpu:avx512", func(int) bool { return true }, "other bits: cpu:avx512 with 1 thread; cpu:avx512 with"},
		{"cpu:avx512", func(n int) bool { return n > 1 }, "other bits: cpu:avx512 with"},
	} {
		net := fronted(func(device string, threads int, e engine.Engine) engine.Engine {
			if device == c.device && c.threads(threads) {
				return nudged{e}
			}
			return e
		})
		in{net: net}.run("verify", "--steps", "3").want(t, 1, c.want, "OTHER BITS than cpu:avx2, 1 thread")
		in{net: net}.run("verify", "--steps", "3", "--json").want(t, 1, `"same":false`)
	}
}

func TestVerifyRefuses(t *testing.T) {
	net := fronted(func(_ string, _ int, e engine.Engine) engine.Engine { return e })
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"verify --steps 0", 2, "--steps must be at least 1"},
		{"verify --lr 1e300", 2, "--lr must be a number that 32 bits hold"},
		{"verify --lr 1e30", 5, "try a smaller --lr"},
		{"verify --data none.csv", 4, "none.csv"},
		{"verify more", 2, "takes no argument"},
	} {
		in{net: net}.run(strings.Fields(c.args)...).want(t, c.code, c.want)
	}
}
