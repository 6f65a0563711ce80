package nettest_test

import (
	"reflect"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

const draws = 400

// TestRandomReachesEverything: the property tests are as good as what is drawn.
func TestRandomReachesEverything(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(draws) {
		net := nettest.Random(seed, nettest.Small)
		last := len(net.Layers) - 1
		activations := 0
		for i, l := range net.Layers {
			if l.Activation == nil {
				activations = 0
				seen["width 1"] = seen["width 1"] || l.Out == 1
				seen["no bias"] = seen["no bias"] || !l.Bias
				continue
			}
			activations++
			seen["activation "+l.Activation.Name] = true
			for name, v := range l.Set {
				if def := l.Activation.Defaults()[name]; v != def {
					seen["activation "+l.Activation.Name+" "+name] = true
				}
			}
			seen["activation first"] = seen["activation first"] || i == 0
			seen["activation last"] = seen["activation last"] || i == last
			seen["two activations"] = seen["two activations"] || activations > 1
		}
		seen["loss "+net.Loss.Name] = true
		seen["output "+net.Transform.Name] = true
		seen["optimizer "+net.Train.Optimizer.Name] = true
		seen["schedule "+net.Train.Schedule.Name] = true
		seen["init "+net.Train.Init.Name] = true
		switch net.Train.Batch {
		case 0:
			seen["full"] = true
		case 1:
			seen["batch 1"] = true
		case 5:
			seen["batch 5"] = true
		}
	}
	want := []string{
		"width 1", "no bias", "activation first", "activation last", "two activations", "full", "batch 1", "batch 5",
	}
	for _, a := range op.Activations {
		want = append(want, "activation "+a.Name)
		for _, s := range a.Settings {
			want = append(want, "activation "+a.Name+" "+s.Name)
		}
	}
	for table, names := range map[string][]string{
		"loss": rows(op.Losses), "output": rows(op.Outputs), "optimizer": rows(op.Optimizers),
		"schedule": rows(op.Schedules), "init": rows(op.Inits),
	} {
		for _, name := range names {
			want = append(want, table+" "+name)
		}
	}
	for _, what := range want {
		if !seen[what] {
			t.Errorf("%d networks and none with: %s", draws, what)
		}
	}
}

func rows[R op.Row](table []R) (names []string) {
	for _, r := range table {
		names = append(names, r.Base().Name)
	}
	return names
}

// TestRandomIsValid: the text of each network is a spec, and is read as the
// network that it was written from.
func TestRandomIsValid(t *testing.T) {
	for seed := range uint64(draws) {
		want := nettest.Random(seed, nettest.Small)
		got, _, err := spec.Parse(want.File, []byte(want.Text), spec.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, want.Text)
		}
		if !reflect.DeepEqual(got, want) {
			// Rows are pointers: compare what they lower to, which is readable.
			g, w := lower.Build(got), lower.Build(want)
			t.Errorf("read back as another network\n%s\n%+v\n%+v\n%s\n%s", want.Text, got, want, g, w)
			return
		}
	}
}

func TestRandomIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		a, b := nettest.Random(seed, nettest.Small), nettest.Random(seed, nettest.Small)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d gives two networks", seed)
		}
		p := lower.Build(a)
		if !reflect.DeepEqual(nettest.Data(p, 3, seed), nettest.Data(p, 3, seed)) ||
			!reflect.DeepEqual(nettest.Params(p, seed), nettest.Params(p, seed)) {
			t.Fatalf("seed %d gives two data sets or two lists of parameters", seed)
		}
		if next := nettest.Random(seed+1, nettest.Small); next.Text == a.Text {
			t.Errorf("seeds %d and %d give one network", seed, seed+1)
		}
	}
}

func TestDataFitsTheProgram(t *testing.T) {
	for seed := range uint64(100) {
		net := nettest.Random(seed, nettest.Small)
		p := lower.Build(net)
		b := nettest.Data(p, 7, seed)
		x, y := b.Float64()
		if len(x) != 7*p.Input || (b.Class == nil) == (b.Value == nil) || (b.Class != nil) != p.Loss.Classes() {
			t.Fatalf("%s: %d features, %d classes, %d values", net.Name, len(b.X), len(b.Class), len(b.Value))
		}
		if b.Value != nil && (len(b.Value) != 7*p.Output || len(y.Value) != len(b.Value)) {
			t.Errorf("%s: %d targets", net.Name, len(b.Value))
		}
		for _, class := range b.Class {
			if class < 0 || int(class) >= p.Output {
				t.Errorf("%s: class %d of %d", net.Name, class, p.Output)
			}
		}
		for _, v := range b.Value {
			if p.Settings.Metrics == string(op.Binary) && v != 0 && v != 1 {
				t.Errorf("%s: target %g of a binary loss", net.Name, v)
			}
		}
		checkParams(t, p, nettest.Params(p, seed))
	}
}

func checkParams(t *testing.T, p *ir.Program, params [][]float32) {
	t.Helper()
	for i, q := range p.Params {
		if len(params[i]) != q.Size() {
			t.Errorf("%s: %d values for %s", p.Name, len(params[i]), q.Name)
		}
		for _, v := range params[i] {
			if v == 0 {
				t.Errorf("%s: a value of %s is 0, which hides faults", p.Name, q.Name)
			}
		}
	}
}

func TestGatedUnitsNeedPairs(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	for _, a := range op.Activations {
		if a.Gated {
			nettest.New("odd", 3).Activation(a, nil)
		}
	}
}
