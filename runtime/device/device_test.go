package device

import (
	"errors"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
)

func network(names ...string) *engine.Network {
	n := &engine.Network{}
	for _, name := range names {
		name, absent := strings.CutPrefix(name, "!")
		n.Devices = append(n.Devices, engine.Device{Name: name, Missing: func() error {
			if absent {
				return errors.New("this machine has no " + name)
			}
			return nil
		}})
	}
	return n
}

func TestChoose(t *testing.T) {
	here := network("!cuda:0", "!cpu:avx512", "cpu:avx2", "cpu:go")
	for _, c := range []struct {
		net        *engine.Network
		name, want string
		why        []string
	}{
		{here, "auto", "cpu:avx2", []string{"best", "no cuda:0", "no cpu:avx512"}},
		{here, "cpu", "cpu:avx2", []string{"best", "no cpu:avx512"}},
		{here, "cpu:go", "cpu:go", []string{"by name"}},
		{here, "cpu:avx2", "cpu:avx2", []string{"by name"}},
		{network("cuda:0", "cuda:1", "cpu:go"), "cuda", "cuda:0", []string{"best"}},
		{network("cuda:0", "cuda:1", "cpu:go"), "cuda:1", "cuda:1", []string{"by name"}},
		{network("cpu:go"), "auto", "cpu:go", []string{"best"}},
	} {
		d, err := Choose(c.net, Wish{Device: c.name})
		if err != nil || d.Name != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.name, d, err, c.want)
			continue
		}
		for _, w := range c.why {
			if !strings.Contains(d.Why, w) {
				t.Errorf("%s: why is %q, lacks %q", c.name, d.Why, w)
			}
		}
	}
}

func TestChooseAbsent(t *testing.T) {
	n := network("!cuda:0", "!cuda:1", "!cpu:avx512", "cpu:go")
	for name, want := range map[string]string{
		"cpu:avx512": "device cpu:avx512: this machine has no cpu:avx512",
		"cuda":       "this machine has no cuda:0; cuda:1: this machine has no cuda:1",
		"cuda:7":     "device cuda:7: this machine has no cuda:0",
		"cpu:avx2":   "not compiled in",
	} {
		_, err := Choose(n, Wish{Device: name})
		var absent *Absent
		if !errors.As(err, &absent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestChooseAbsentGPU(t *testing.T) {
	for _, c := range []struct {
		net  *engine.Network
		want string
	}{
		{network("cuda:0", "cuda:1", "cpu:go"), "device cuda:2: there is no such GPU; this machine has cuda:0, cuda:1"},
		{network("cpu:avx2", "cpu:go"), "device cuda:2: not compiled in; this network has cpu:avx2, cpu:go"},
	} {
		_, err := Choose(c.net, Wish{Device: "cuda:2"})
		var absent *Absent
		if !errors.As(err, &absent) || err.Error() != c.want {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestChooseUnknown(t *testing.T) {
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "CPU", "cpu:", "avx2"} {
		_, err := Choose(network("cpu:go"), Wish{Device: name})
		var unknown *Unknown
		if !errors.As(err, &unknown) {
			t.Errorf("%q: got %v, want an *Unknown", name, err)
		}
	}
}

// TestPrecision: what is asked for twice by name must be there; all else falls
// back to fp32, and says so.
func TestPrecision(t *testing.T) {
	n := network("cuda:0", "cpu:go")
	n.Precisions = []engine.Precision{{Name: "fp32"}, {Name: "half"}, {Name: "quarter"}}
	n.Devices[0].Lacks = func(precision string) error {
		if precision == "quarter" {
			return errors.New("this GPU is too old")
		}
		return nil
	}
	for _, c := range []struct {
		spec, device, flag, want, note, err string
	}{
		{"", "cuda:0", "", "fp32", "", ""},
		{"half", "cuda:0", "", "half", "", ""},
		{"half", "cuda", "fp32", "fp32", "", ""},
		{"", "cuda", "half", "half", "", ""},
		{"half", "cpu", "", "fp32", "computing in fp32, not in half: cpu:go has fp32 alone", ""},
		{"half", "cpu:go", "fp32", "fp32", "", ""},
		{"", "cpu", "half", "", "", "device cpu:go: precision half: cpu:go has fp32 alone; other precisions are for GPUs"},
		{"quarter", "cuda", "", "fp32", "not in quarter: this GPU is too old", ""},
		{"", "cuda:0", "quarter", "", "", "device cuda:0: precision quarter: this GPU is too old"},
		{"", "cuda", "eighth", "", "", `"eighth" is not a precision: it is one of fp32, half, quarter`},
	} {
		n.Precision = c.spec
		d, err := Choose(n, Wish{Device: c.device, Precision: c.flag})
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%+v: got %v", c, err)
			}
			continue
		}
		if err != nil || d.Precision != c.want || !strings.Contains(d.Note, c.note) || (c.note == "") != (d.Note == "") {
			t.Errorf("%+v: got %+v, %v", c, d, err)
		}
	}
	d, err := Choose(network("!cuda:0", "cpu:go"), Wish{Device: "auto", Precision: "fp32"})
	if err != nil || d.Precision != "fp32" || d.Note != "" {
		t.Errorf("got %+v, %v", d, err)
	}
	n = network("!cuda:0", "cpu:go")
	n.Precisions = []engine.Precision{{Name: "fp32"}, {Name: "half"}}
	d, err = Choose(n, Wish{Device: "auto", Precision: "half"})
	if err != nil || d.Name != "cpu:go" || !strings.Contains(d.Note, "not in half") {
		t.Errorf("auto: got %+v, %v", d, err)
	}
}
