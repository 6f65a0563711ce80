package gen_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/spec"
)

// networks is how many random specs go through the whole compiler;
// DNNGEN_NETWORKS asks for more.
const networks = 200

// sample is one network that goes through the whole compiler.
type sample struct {
	net    *spec.Network
	p      *ir.Program
	seed   uint64
	random bool // drawn, not chosen
	// sets are numbers of rows that the network is trained on, for several steps
	// each; steps those of single steps. Both have short batches among them.
	sets, steps []int
}

// borders are numbers of rows at which the ways end that batches are cut: tiles
// of 64 and 128, and chunks of 256.
var borders = []int{1, 63, 64, 65, 127, 128, 129, 255, 256, 257}

// edges are networks of every way in which a step is cut, with numbers of rows
// beside the cuts.
var edges = []struct {
	spec string
	rows []int
}{
	// Gradient descent, in tiles through all layers and in chunks.
	{"input: 3\nlayers: [{linear: 17}, selu, {linear: 2}]\nloss: cross_entropy\ntrain: {batch: full, optimizer: {sgd: {lr: 0.1}}}", borders},
	{"input: 190\nlayers: [{linear: 230}, gelu, {linear: 20}, prelu, {linear: 1}]\nloss: bce_with_logits\n" +
		"train: {batch: full, optimizer: {sgd: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.001}}}", borders},
	// Large batches, in tiles and in chunks of 512.
	{"input: 20\nlayers: [{linear: 24}, tanh, {linear: 40}, relu, {linear: 10}]\nloss: cross_entropy\n" +
		"train: {batch: 600, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}", []int{600, 599, 129, 128, 127, 1}},
	{"input: 7\nlayers: [{linear: 24}, {prelu: {per: channel}}, {linear: 20}, {swish: {learn: true}}, {linear: 1}]\nloss: huber\n" +
		"train: {batch: 577, optimizer: {adam: {lr: 0.01}}}", []int{577, 576, 257, 256, 129, 128, 127, 1}},
	{"input: 400\nlayers: [{linear: 440}, swiglu, {linear: 33}, softplus, {linear: 17}]\nloss: mse\n" +
		"train: {batch: 520, optimizer: {adamw: {lr: 0.01}}}", []int{520, 513, 512, 511, 1}},
	// One row; a step in one function; layers by all workers.
	{"input: 37\nlayers: [{linear: 150}, {prelu: {per: channel}}, {linear: 64}, swiglu, {linear: 35}, mish, {linear: 3}]\nloss: mse\n" +
		"train: {batch: 1, optimizer: {adam: {lr: 0.01}}}", []int{1, 1, 1}},
	{"input: 2\nlayers: [{linear: 16}, relu, {linear: 16}, relu, {linear: 1}]\nloss: bce_with_logits\n" +
		"train: {batch: 32, optimizer: {sgd: {lr: 0.1}}}", []int{32, 31, 16, 15, 1}},
	{"input: 130\nlayers: [{linear: 257}, relu, {linear: 190}, elu, {linear: 100}]\nloss: cross_entropy\n" +
		"train: {batch: 77, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}", []int{77, 76, 13, 1}},
	// Activations behind a single output, whose rows lie in lanes.
	{"input: 5\nlayers: [{linear: 19}, tanh, {linear: 1}, softplus, {prelu: {alpha: 0.5}}]\nloss: mse\n" +
		"train: {batch: 40, optimizer: {sgd: {lr: 0.01, momentum: 0.9}}}", []int{40, 39, 16, 15, 3, 1}},
}

// samples are all networks: random ones, those of the reference trainings, and
// the edges.
func samples(t *testing.T) []*sample {
	t.Helper()
	count := networks
	if s := os.Getenv("DNNGEN_NETWORKS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	} else if testing.Short() {
		count = 20
	}
	var list []*sample
	add := func(net *spec.Network, name string, steps []int) {
		net.Name = name
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, net.Text)
		}
		s := &sample{net: net, p: p, seed: uint64(len(list)), steps: steps}
		switch {
		case steps != nil && p.Full:
			s.sets = steps
		case p.Full:
			s.sets = []int{65, lower.ChunkRows + 1}
			s.steps = []int{37, 37, 35}
		default:
			s.sets = []int{2*p.Batch + (p.Batch+2)/3}
			if steps == nil {
				s.steps = []int{p.Batch, p.Batch, max(1, p.Batch-2)}
			}
		}
		list = append(list, s)
	}
	limits := nettest.Limits{Width: 40, Linear: 4}
	for i := range count {
		add(nettest.Random(uint64(i), limits), fmt.Sprintf("n%d", i), nil)
		list[i].random = true
	}
	for _, c := range golden.Load(t) {
		add(c.Net, c.Name, nil)
	}
	for i, e := range edges {
		net, _, err := spec.Parse("edge.yaml", []byte("name: edge\n"+e.spec+"\n"), spec.Options{})
		if err != nil {
			t.Fatalf("edge %d: %v", i, err)
		}
		add(net, fmt.Sprintf("edge%d", i), e.rows)
	}
	return list
}

// emitted is a Go module that holds every sample's package, and finds this
// module's runtime.
type emitted struct {
	dir     string
	samples []*sample
}

var (
	emitOnce sync.Once
	shared   *emitted
)

// TestMain removes what the tests share.
func TestMain(m *testing.M) {
	status := m.Run()
	if shared != nil {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}

// emitAll emits all samples, once for all tests.
func emitAll(t *testing.T) *emitted {
	t.Helper()
	emitOnce.Do(func() {
		dir, err := os.MkdirTemp("", "dnngen")
		if err != nil {
			t.Fatal(err)
		}
		shared = &emitted{dir: dir}
		writeModule(t, dir)
		list := samples(t)
		for _, s := range list {
			files, err := gen.Generate(s.net, gen.Options{ImportPath: "property/" + s.net.Name})
			if err != nil {
				t.Fatalf("%s: %v\n%s", s.net.Name, err, s.net.Text)
			}
			for _, f := range files {
				writeFile(t, filepath.Join(dir, s.net.Name, filepath.FromSlash(f.Path)), f.Content)
			}
		}
		shared.samples = list
	})
	if shared == nil || shared.samples == nil {
		t.Fatal("the networks were not emitted; the first test that needs them says why")
	}
	return shared
}

// writeModule writes what makes a directory a module.
func writeModule(t *testing.T, dir string) {
	t.Helper()
	root := golden.Root(t)
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("module github.com/dnngen/dnngen"), []byte("module property"), 1)
	text = append(text, fmt.Sprintf("\nrequire github.com/dnngen/dnngen v0.0.0\nreplace github.com/dnngen/dnngen => %s\n", root)...)
	writeFile(t, filepath.Join(dir, "go.mod"), text)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "go.sum"), sum)
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// goTool runs the go command in a module of writeModule.
func goTool(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	return cmd.CombinedOutput()
}

// render writes a file of Go.
func render(t *testing.T, name string, f *jen.File) {
	t.Helper()
	var b bytes.Buffer
	if err := f.Render(&b); err != nil {
		t.Fatal(err)
	}
	writeFile(t, name, b.Bytes())
}
