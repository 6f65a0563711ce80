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
		d, why, err := Choose(c.net, c.name)
		if err != nil || d.Name != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.name, d, err, c.want)
			continue
		}
		for _, w := range c.why {
			if !strings.Contains(why, w) {
				t.Errorf("%s: why is %q, lacks %q", c.name, why, w)
			}
		}
	}
}

func TestChooseAbsent(t *testing.T) {
	n := network("!cuda:0", "!cuda:1", "!cpu:avx512", "cpu:go")
	for name, want := range map[string]string{
		"cpu:avx512": "device cpu:avx512: this machine has no cpu:avx512",
		"cuda":       "this machine has no cuda:0; cuda:1: this machine has no cuda:1",
		"cuda:7":     "not compiled in; this network has cuda:0, cuda:1, cpu:avx512, cpu:go",
		"cpu:avx2":   "not compiled in",
	} {
		_, _, err := Choose(n, name)
		var absent *Absent
		if !errors.As(err, &absent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestChooseUnknown(t *testing.T) {
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "CPU", "cpu:", "avx2"} {
		_, _, err := Choose(network("cpu:go"), name)
		var unknown *Unknown
		if !errors.As(err, &unknown) {
			t.Errorf("%q: got %v, want an *Unknown", name, err)
		}
	}
}
