// Package chart draws learning curves as SVG: panels of lines over one
// horizontal axis, with ticks, labels and a legend.
package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Point is one point of a curve. A point that is not finite leaves a gap.
type Point struct{ X, Y float64 }

// Series is one curve. Curves of one name have one colour in all panels.
type Series struct {
	Name   string
	Points []Point
	Faint  bool // drawn thin and pale, behind what matters more
}

// Panel is one diagram. Its vertical axis is logarithmic where all values are
// positive and span more than a factor of 50.
type Panel struct {
	YLabel string
	Series []Series
}

// Chart is a column of panels that share the horizontal axis.
type Chart struct {
	Title  string
	XLabel string
	Panels []Panel
}

// Sizes in SVG units.
const (
	width       = 760
	panelHeight = 260
	titleHeight = 40
	left        = 76
	right       = 20
	gap         = 30 // below each panel
	footer      = 28
)

// palette holds colours that are distinct also for readers who see colours
// differently (Okabe and Ito 2008).
var palette = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"}

// SVG returns the drawing. Text in it is escaped; the same chart gives the
// same bytes.
func (c Chart) SVG() []byte {
	d := &drawing{}
	height := titleHeight + len(c.Panels)*(panelHeight+gap) + footer
	d.f(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`,
		width, height, width, height)
	d.f(`<title>%s</title>`, escape(c.Title))
	d.f(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	d.f(`<text x="%d" y="25" font-size="16" fill="#222222">%s</text>`, left, escape(c.Title))
	x := linearAxis(c.extent(func(p Point) float64 { return p.X }))
	d.colors = c.colors()
	for i, p := range c.Panels {
		d.panel(p, x, titleHeight+i*(panelHeight+gap))
	}
	d.f(`<text x="%d" y="%d" text-anchor="middle" fill="#222222">%s</text>`, (left+width-right)/2, height-10, escape(c.XLabel))
	d.f(`</svg>`)
	return []byte(d.String())
}

// colors gives each name a colour, in the order in which the names come.
func (c Chart) colors() map[string]string {
	chosen := map[string]string{}
	for _, p := range c.Panels {
		for _, s := range p.Series {
			if chosen[s.Name] == "" {
				chosen[s.Name] = palette[len(chosen)%len(palette)]
			}
		}
	}
	return chosen
}

func (c Chart) extent(of func(Point) float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, p := range c.Panels {
		pLo, pHi := p.extent(of)
		lo, hi = min(lo, pLo), max(hi, pHi)
	}
	return lo, hi
}

func (p Panel) extent(of func(Point) float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for _, q := range s.Points {
			if q.finite() {
				lo, hi = min(lo, of(q)), max(hi, of(q))
			}
		}
	}
	return lo, hi
}

func (p Point) finite() bool {
	s := p.X - p.X + p.Y - p.Y // 0 where both are finite, else NaN
	return s == 0
}

// drawing is the SVG text under way.
type drawing struct {
	strings.Builder
	colors map[string]string // by the name of the curve
}

func (d *drawing) f(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

// panel draws one diagram with its top at y.
func (d *drawing) panel(p Panel, x axis, y int) {
	top, bottom := float64(y), float64(y+panelHeight)
	v := valueAxis(p.extent(func(q Point) float64 { return q.Y }))
	toX := func(f float64) string { return coord(left + f*(width-left-right)) }
	toY := func(f float64) string { return coord(bottom - f*(bottom-top)) }
	d.f(`<g stroke="#dddddd" stroke-width="1">`)
	for _, t := range v.ticks {
		d.f(`<line x1="%d" y1="%s" x2="%d" y2="%s"/>`, left, toY(v.at(t)), width-right, toY(v.at(t)))
	}
	for _, t := range x.ticks {
		d.f(`<line x1="%s" y1="%s" x2="%s" y2="%s"/>`, toX(x.at(t)), coord(top), toX(x.at(t)), coord(bottom))
	}
	d.f(`</g>`)
	d.f(`<g fill="#444444">`)
	for _, t := range v.ticks {
		d.f(`<text x="%d" y="%s" text-anchor="end" dominant-baseline="middle">%s</text>`, left-8, toY(v.at(t)), label(t))
	}
	for _, t := range x.ticks {
		d.f(`<text x="%s" y="%s" text-anchor="middle">%s</text>`, toX(x.at(t)), coord(bottom+16), label(t))
	}
	d.f(`</g>`)
	d.f(`<text transform="translate(16 %s) rotate(-90)" text-anchor="middle" fill="#222222">%s</text>`, coord((top+bottom)/2), escape(p.YLabel))
	d.f(`<rect x="%d" y="%s" width="%d" height="%d" fill="none" stroke="#888888"/>`, left, coord(top), width-left-right, panelHeight)
	for _, s := range p.Series {
		d.curve(s, d.colors[s.Name], func(q Point) (string, string) { return toX(x.at(q.X)), toY(v.at(q.Y)) })
	}
	d.legend(p, x, v, y)
}

// curve draws a line, broken at points that are not finite. A point alone
// between two gaps is drawn as a dot.
func (d *drawing) curve(s Series, color string, to func(Point) (string, string)) {
	stroke, opacity := "2", "1"
	if s.Faint {
		stroke, opacity = "1", "0.45"
	}
	var path strings.Builder
	pieces := 0
	flush := func() {
		switch {
		case pieces == 1:
			xy := strings.Fields(path.String())
			d.f(`<circle cx="%s" cy="%s" r="3" fill="%s" opacity="%s"/>`, xy[0], xy[1], color, opacity)
		case pieces > 1:
			d.f(`<polyline points="%s" fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round" opacity="%s"/>`,
				path.String(), color, stroke, opacity)
		}
		path.Reset()
		pieces = 0
	}
	for _, q := range s.Points {
		if !q.finite() {
			flush()
			continue
		}
		if pieces > 0 {
			path.WriteByte(' ')
		}
		x, y := to(q)
		path.WriteString(x + " " + y)
		pieces++
	}
	flush()
}

// legend explains the curves of a panel with its top at y, in the corner where
// it hides the fewest points.
func (d *drawing) legend(p Panel, x, v axis, y int) {
	longest := 0
	for _, s := range p.Series {
		longest = max(longest, len([]rune(s.Name)))
	}
	const margin = 8
	w, h := 44+7*longest, 8+18*len(p.Series)
	bestX, bestY, least := 0, 0, math.MaxInt
	for _, cy := range []int{y + margin, y + panelHeight - margin - h} {
		for _, cx := range []int{width - right - margin - w, left + margin} {
			if hidden := p.within(x, v, y, cx-margin, cy-margin, w+2*margin, h+2*margin); hidden < least {
				bestX, bestY, least = cx, cy, hidden
			}
		}
	}
	d.f(`<rect x="%d" y="%d" width="%d" height="%d" fill="#ffffff" fill-opacity="0.85" stroke="#cccccc"/>`, bestX, bestY, w, h)
	for i, s := range p.Series {
		line := bestY + 13 + 18*i
		stroke, opacity := "2", "1"
		if s.Faint {
			stroke, opacity = "1", "0.45"
		}
		d.f(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="%s" opacity="%s"/>`, bestX+8, line, bestX+28, line, d.colors[s.Name], stroke, opacity)
		d.f(`<text x="%d" y="%d" dominant-baseline="middle" fill="#222222">%s</text>`, bestX+36, line, escape(s.Name))
	}
}

// within counts the points that lie in a rectangle of the drawing.
func (p Panel) within(x, v axis, top, rx, ry, w, h int) int {
	n := 0
	for _, s := range p.Series {
		for _, q := range s.Points {
			if !q.finite() {
				continue
			}
			px := left + x.at(q.X)*(width-left-right)
			py := float64(top) + (1-v.at(q.Y))*panelHeight
			if px >= float64(rx) && px <= float64(rx+w) && py >= float64(ry) && py <= float64(ry+h) {
				n++
			}
		}
	}
	return n
}

func coord(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// escape makes text safe inside an SVG element: XML's five marks, and a
// replacement for what XML does not allow.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < ' ' && r != '\t' && r != '\n', r == 0xfffe, r == 0xffff:
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
