package main

import (
	"bytes"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
)

// lines are the colours of the devices (Okabe and Ito 2008).
var lines = map[string]color.Color{
	"cpu:go": color.RGBA{0x56, 0xb4, 0xe9, 0xff}, "cpu:avx2": color.RGBA{0x00, 0x72, 0xb2, 0xff}, "cpu:avx512": color.RGBA{0x00, 0x9e, 0x73, 0xff},
}

// growthSVG draws the time of a step against one size, both logarithmic, and the
// time at the machine's peak.
func growthSVG(c record.Curve, m bench.Machine) ([]byte, error) {
	p := plot.New()
	p.Title.Text = "A training step against " + c.Name + ": " + c.Fixed + " (" + m.CPU + ")"
	p.X.Label.Text, p.Y.Label.Text = c.Name, "seconds"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = sizes(c), decades{}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	var peak plotter.XYs
	curves := map[string]plotter.XYs{}
	for _, at := range c.Points {
		x := float64(at.Size)
		peak = append(peak, plotter.XY{X: x, Y: at.FLOPs / at.Peak.One / 1e9})
		for _, r := range at.Results {
			if r.Threads == 1 {
				curves[r.Name] = append(curves[r.Name], plotter.XY{X: x, Y: r.Step.Median})
			}
		}
	}
	for _, name := range devices {
		if len(curves[name]) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(curves[name])
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = lines[name], vg.Points(1.5)
		points.Color, points.Shape, points.Radius = lines[name], draw.CircleGlyph{}, vg.Points(2)
		p.Add(line, points)
		p.Legend.Add(name, line)
	}
	line, err := plotter.NewLine(peak)
	if err != nil {
		return nil, err
	}
	line.Color, line.Dashes = color.RGBA{0xd5, 0x5e, 0x00, 0xff}, []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(line)
	p.Legend.Add("at the peak of one thread", line)
	p.Title.TextStyle.Font.Size, p.Legend.TextStyle.Font.Size = font.Length(11), font.Length(9)
	canvas := vgsvg.New(16*vg.Centimeter, 10*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	_, err = canvas.WriteTo(&b)
	return b.Bytes(), err
}

// sizes marks the sizes that were measured.
func sizes(c record.Curve) plot.ConstantTicks {
	var list plot.ConstantTicks
	for _, p := range c.Points {
		list = append(list, plot.Tick{Value: float64(p.Size), Label: strconv.Itoa(p.Size)})
	}
	return list
}

// decades marks powers of ten seconds.
type decades struct{}

// Ticks returns a mark for each power of ten.
func (decades) Ticks(lo, hi float64) (list []plot.Tick) {
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		if v := math.Pow(10, e); v >= lo && v <= hi {
			list = append(list, plot.Tick{Value: v, Label: bench.Duration(v)})
		}
	}
	return list
}
