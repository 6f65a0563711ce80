package gen_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/runtime/simd"
)

// TestPromises holds every device of this machine to what all devices promise:
// see testdata/promises. A device that is here and was not tested fails it.
func TestPromises(t *testing.T) {
	m := emitAll(t)
	text, err := os.ReadFile(filepath.Join("testdata", "promises", "promises_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(m.dir, "promises")
	writeFile(t, filepath.Join(dir, "promises_test.go"), text)
	promised := m.promised()
	writePromised(t, filepath.Join(dir, "networks_test.go"), promised)
	out, err := goTool(m.dir, "test", "-count=1", "-timeout=60m", "./promises")
	if err != nil {
		t.Errorf("go test: %v\n%s", err, clip(out))
	}
	ran := map[string]int{}
	if text, err = os.ReadFile(filepath.Join(dir, "ran.json")); err == nil {
		err = json.Unmarshal(text, &ran)
	}
	if err != nil {
		t.Fatal(err)
	}
	here := map[string]bool{"cpu:go": true, "cpu:avx2": simd.MissingAVX2() == nil, "cpu:avx512": simd.MissingAVX512() == nil}
	for device, here := range here {
		// Each test makes an engine of each network at least.
		if here && ran[device] < 5*len(promised) {
			t.Errorf("%s is here, and was tested with %d engines of %d networks", device, ran[device], len(promised))
		}
	}
	t.Logf("%d networks, engines by device: %v", len(promised), ran)
}

// promised are the networks that the promises are tested on: all but every
// second random one, unless more are asked for.
func (m *emitted) promised() (list []*sample) {
	for i, s := range m.samples {
		if i%2 == 0 || !s.random || os.Getenv("DNNGEN_NETWORKS") != "" {
			list = append(list, s)
		}
	}
	return list
}

// writePromised writes the list of these networks.
func writePromised(t *testing.T, name string, list []*sample) {
	t.Helper()
	ints := func(list []int) *jen.Statement {
		return jen.Index().Int().ValuesFunc(func(g *jen.Group) {
			for _, n := range list {
				g.Lit(n)
			}
		})
	}
	f := jen.NewFile("promises")
	f.Func().Id("networks").Params().Index().Id("network").Block(
		jen.Return(jen.Index().Id("network").ValuesFunc(func(g *jen.Group) {
			for _, s := range list {
				path := "property/" + s.net.Name
				g.Line().Values(jen.Qual(path, "Network").Call(), ints(s.sets), jen.Id("predict_"+s.net.Name))
			}
			g.Line()
		})),
	)
	f.Var().Id("sink").Float32()
	for _, s := range list {
		path := "property/" + s.net.Name
		f.Func().Id("predict_"+s.net.Name).Params(jen.Id("device").String(), jen.Id("threads").Int()).
			Params(jen.Id("call"), jen.Id("end").Func().Params(), jen.Id("err").Error()).Block(
			jen.List(jen.Id("m"), jen.Id("err")).Op(":=").Qual(path, "New").Call(
				jen.Qual(path, "WithDevice").Call(jen.Id("device")), jen.Qual(path, "WithThreads").Call(jen.Id("threads"))),
			jen.If(jen.Id("err").Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Nil(), jen.Id("err"))),
			jen.Var().Id("x").Index(jen.Qual(path, "Inputs")).Float32(),
			jen.Return(jen.Func().Params().Block(jen.Id("sink").Op("=").Id("m").Dot("Predict").Call(jen.Op("&").Id("x")).Dot("Raw").Index(jen.Lit(0))),
				jen.Id("m").Dot("Close"), jen.Nil()),
		)
	}
	render(t, name, f)
}

// TestEdges: the edges are where they are said to be. Where a cut moves, their
// numbers of rows must move with it.
func TestEdges(t *testing.T) {
	found := map[string]bool{}
	for _, s := range samples(t) {
		if !strings.HasPrefix(s.net.Name, "edge") {
			continue
		}
		pl, err := plan.New(s.p)
		if err != nil {
			t.Fatal(err)
		}
		way := "layered"
		switch {
		case pl.Tiled:
			way = "tiled"
		case pl.Whole != nil:
			way = "whole"
		case pl.Rows == 1:
			way = "one row"
		case pl.Keep:
			way = "chunked"
		}
		if s.p.Full {
			way += ", full"
		}
		found[way] = true
		cuts := []int{pl.Rows}
		if s.p.Full {
			cuts = append(cuts, lower.ChunkRows)
		}
		for _, cut := range cuts {
			for rows := cut - 1; rows <= cut+1; rows++ {
				if rows < 1 || !s.p.Full && rows > s.p.Batch {
					continue
				}
				if !slices.Contains(s.steps, rows) {
					t.Errorf("%s is %s in pieces of %d rows, and no step has %d", s.net.Name, way, cut, rows)
				}
			}
		}
	}
	for _, way := range []string{"tiled", "tiled, full", "chunked", "chunked, full", "whole", "one row", "layered"} {
		if !found[way] {
			t.Errorf("no edge is %s: %v", way, found)
		}
	}
}
