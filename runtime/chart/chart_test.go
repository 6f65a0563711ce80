package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func example() Chart {
	var loss, noisy, accuracy []Point
	for i := range 20 {
		x := float64(i)
		loss = append(loss, Point{x, 2 * math.Exp(-x/3)})
		noisy = append(noisy, Point{x, 2*math.Exp(-x/3) + 0.2*math.Sin(9*x)})
		accuracy = append(accuracy, Point{x, 1 - math.Exp(-x/4)})
	}
	return Chart{Title: "digits <b>&\x00", XLabel: "epoch", Panels: []Panel{
		{YLabel: "loss", Series: []Series{{Name: "train, step", Points: noisy, Faint: true}, {Name: "train", Points: loss}}},
		{YLabel: "accuracy", Series: []Series{{Name: "test", Points: accuracy}}},
	}}
}

// elements parses an SVG strictly and counts its elements by name.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		if s, ok := tok.(xml.StartElement); ok {
			count[s.Name.Local]++
		}
	}
}

func TestSVG(t *testing.T) {
	svg := example().SVG()
	count := elements(t, svg)
	if count["polyline"] != 3 || count["title"] != 1 {
		t.Errorf("elements %v, want 3 curves and a title", count)
	}
	for _, want := range []string{"digits &lt;b&gt;&amp;\ufffd", ">loss<", ">accuracy<", ">epoch<", ">train, step<", ">test<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if !bytes.Equal(svg, example().SVG()) {
		t.Error("the same chart gives other bytes")
	}
}

// Every coordinate of every curve lies in the drawing, whatever the values.
func TestSVGStaysInside(t *testing.T) {
	for name, points := range map[string][]Point{
		"none":     nil,
		"one":      {{3, 5}},
		"equal":    {{0, 7}, {1, 7}, {2, 7}},
		"zero":     {{0, 0}, {1, 0}},
		"negative": {{0, -5}, {1, -1e6}},
		"huge":     {{0, math.MaxFloat64}, {1, -math.MaxFloat64}},
		"tiny":     {{0, 5e-324}, {1, 1}},
		"gaps":     {{0, 1}, {1, math.NaN()}, {2, 2}, {3, 3}, {4, math.Inf(1)}},
		"decades":  {{0, 1e-9}, {1, 1e9}},
		"close":    {{0, 1}, {1, 1 + 1e-15}},
		"far":      {{1e15, 1}, {1e15 + 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			svg := Chart{Panels: []Panel{{Series: []Series{{Name: "s", Points: points}}}}}.SVG()
			elements(t, svg)
			if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
				t.Fatalf("a coordinate is not finite:\n%s", svg)
			}
			for _, m := range regexp.MustCompile(`points="([^"]*)"`).FindAllSubmatch(svg, -1) {
				for i, f := range strings.Fields(string(m[1])) {
					v, err := strconv.ParseFloat(f, 64)
					limit := []float64{width, titleHeight + panelHeight}[i%2]
					if err != nil || v < 0 || v > limit+0.1 {
						t.Errorf("coordinate %s lies outside", f)
					}
				}
			}
		})
	}
}

func TestColours(t *testing.T) {
	c := example()
	c.Panels[1].Series[0].Name = "train"
	svg := string(c.SVG())
	if n := strings.Count(svg, palette[1]); n != 4 {
		t.Errorf("the colour of train stands %d times, want 4: two curves and two legends", n)
	}
	if strings.Contains(svg, palette[2]) {
		t.Error("a third colour for two names")
	}
}

// The legend goes where the curve is not.
func TestLegendAvoidsTheCurve(t *testing.T) {
	place := func(f func(x float64) float64) string {
		var points []Point
		for i := range 50 {
			points = append(points, Point{float64(i), f(float64(i))})
		}
		svg := Chart{Panels: []Panel{{Series: []Series{{Name: "s", Points: points}}}}}.SVG()
		m := regexp.MustCompile(`<rect x="(\d+)" y="(\d+)"[^>]*fill-opacity`).FindSubmatch(svg)
		x, _ := strconv.Atoi(string(m[1]))
		y, _ := strconv.Atoi(string(m[2]))
		return fmt.Sprint(y < titleHeight+panelHeight/2, x > width/2)
	}
	if got := place(func(x float64) float64 { return -x }); got != "true true" {
		t.Errorf("falling: top, right = %s", got)
	}
	if got := place(func(x float64) float64 { return x }); got != "true false" && got != "false true" {
		t.Errorf("rising: top, right = %s", got)
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 20, "0 5 10 15 20"},
		{0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{0, 0.7, "0 0.2 0.4 0.6"},
		{-3, 3, "-3 -2 -1 0 1 2 3"},
	} {
		var got []string
		for _, v := range linearAxis(c.lo, c.hi).ticks {
			got = append(got, label(v))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v to %v: %s, want %s", c.lo, c.hi, s, c.want)
		}
	}
	if a := valueAxis(0.001, 100); !a.log || label(a.ticks[0]) != "0.001" {
		t.Errorf("0.001 to 100: %+v, want a logarithmic axis", a)
	}
}

func TestTraceKeepsTheMean(t *testing.T) {
	var tr Trace
	const n = 100_000
	for i := range n {
		tr.Add(float64(i), float64(i%2))
	}
	p := tr.Points()
	if len(p) < traceLimit/4 || len(p) > traceLimit {
		t.Fatalf("%d points", len(p))
	}
	for _, q := range p {
		if q.Y != 0.5 {
			t.Fatalf("mean %v, want 0.5", q.Y)
		}
	}
	if a := testing.AllocsPerRun(100, func() { tr.Add(1, 1) }); a != 0 {
		t.Errorf("%v allocations a point", a)
	}
}
