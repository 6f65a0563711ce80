// Package bars draws horizontal bar charts as SVG, on a logarithmic axis: what
// is compared here spans three orders of magnitude.
package bars

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Bar is one value.
type Bar struct {
	Name  string
	Value float64 // positive
	Text  string  // written beside the bar
	Group int     // bars of a group have one colour
}

// Chart is a title over blocks of bars on one axis.
type Chart struct {
	Title  string
	XLabel string
	Blocks []Block
}

// Block is some bars under a heading; Line marks a value, such as a peak.
type Block struct {
	Title string
	Bars  []Bar
	Line  float64 // 0 for none
}

// Sizes in SVG units.
const (
	width   = 760
	left    = 210
	right   = 130
	top     = 44
	bar     = 18
	step    = 24
	heading = 28
	footer  = 46
)

// colors are distinct for readers who see colours differently (Okabe and Ito
// 2008).
var colors = []string{"#999999", "#56b4e9", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00"}

// SVG returns the drawing; the same chart gives the same bytes.
func (c Chart) SVG() []byte {
	lo, hi := c.extent()
	x := func(v float64) float64 {
		return left + (math.Log10(v)-lo)/(hi-lo)*(width-left-right)
	}
	height := top + footer
	for _, b := range c.Blocks {
		height += len(b.Bars) * step
		if b.Title != "" {
			height += heading
		}
	}
	var s strings.Builder
	f := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	f(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, width, height, width, height)
	f(`<title>%s</title>`, html.EscapeString(c.Title))
	f(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	f(`<text x="16" y="26" font-size="16" fill="#222222">%s</text>`, html.EscapeString(c.Title))
	for p := math.Ceil(lo); p <= hi; p++ {
		at := x(math.Pow(10, p))
		f(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>`, at, top, at, height-footer)
		f(`<text x="%.1f" y="%d" text-anchor="middle" fill="#444444">%s</text>`, at, height-footer+16, tick(p))
	}
	y := top
	for _, b := range c.Blocks {
		if b.Title != "" {
			f(`<text x="16" y="%d" font-weight="bold" fill="#222222">%s</text>`, y+19, html.EscapeString(b.Title))
			y += heading
		}
		from := y
		for _, v := range b.Bars {
			f(`<text x="%d" y="%d" text-anchor="end" fill="#222222">%s</text>`, left-8, y+14, html.EscapeString(v.Name))
			f(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y+2, math.Max(1, x(v.Value)-left), bar, colors[v.Group%len(colors)])
			f(`<text x="%.1f" y="%d" fill="#222222">%s</text>`, math.Max(left, x(v.Value))+6, y+15, html.EscapeString(v.Text))
			y += step
		}
		if b.Line > 0 {
			f(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#d55e00" stroke-dasharray="4 3"/>`, x(b.Line), from, x(b.Line), y)
		}
	}
	f(`<text x="%d" y="%d" text-anchor="middle" fill="#222222">%s</text>`, (left+width-right)/2, height-10, html.EscapeString(c.XLabel))
	f(`</svg>`)
	return []byte(s.String())
}

// extent returns the decades of the axis, so that the shortest bar is seen.
func (c Chart) extent() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, b := range c.Blocks {
		for _, v := range b.Bars {
			lo, hi = math.Min(lo, math.Log10(v.Value)), math.Max(hi, math.Log10(v.Value))
		}
		if b.Line > 0 {
			hi = math.Max(hi, math.Log10(b.Line))
		}
	}
	if lo > hi { // nothing to draw
		return 0, 1
	}
	lo = math.Floor(lo - 0.05)
	return lo, math.Max(hi, lo+1)
}

// tick writes a power of ten.
func tick(p float64) string {
	for _, u := range []struct {
		name string
		at   float64
	}{{" G", 9}, {" M", 6}, {" k", 3}} {
		if p >= u.at {
			return fmt.Sprintf("%g%s", math.Pow(10, p-u.at), u.name)
		}
	}
	return fmt.Sprintf("%g", math.Pow(10, p))
}
