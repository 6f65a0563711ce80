package main

import "fmt"

type transpose struct {
	panels, panelRows, lines int
	f                        func(t, w *float32)
}

type block struct {
	width, rows int
	back        bool
	f           func(blocked, flat *float32, rows int)
}

func (t transpose) check(atEnd bool) int {
	w, out := guarded(t.panels*t.panelRows*lanes, atEnd), guarded(t.lines*t.panels*lanes*lanes, atEnd)
	for i := range w.v {
		w.v[i] = float32(i)
	}
	t.f(out.p(), w.p())
	what := fmt.Sprintf("transpose %v", t)
	for l := range t.lines {
		for n := range t.panels * lanes {
			for i := range lanes {
				want := w.v[(n/lanes*t.panelRows+l*lanes+i)*lanes+n%lanes]
				if got := out.v[((l*t.panels*lanes)+n)*lanes+i]; got != want {
					fail("%s: output %d input %d is %g, want %g", what, n, l*lanes+i, got, want)
					return 1
				}
			}
		}
	}
	w.done(what)
	out.done(what)
	return 1
}

func (b block) check(atEnd bool) int {
	checks := 0
	for _, rows := range sizes() {
		if rows > b.rows {
			break
		}
		checks++
		flat, panel := guarded(rows*b.width, atEnd), guarded(panels(b.width)*b.rows*lanes, atEnd)
		at := func(r, c int) int { return (c/lanes*b.rows+r)*lanes + c%lanes }
		for r := range rows {
			for c := range b.width {
				if b.back {
					panel.v[at(r, c)] = float32(r*b.width + c)
				} else {
					flat.v[r*b.width+c] = float32(r*b.width + c)
				}
			}
		}
		b.f(panel.p(), flat.p(), rows)
		what := fmt.Sprintf("block %d columns, %d rows, back %v", b.width, rows, b.back)
		for r := range rows {
			for c := range panels(b.width) * lanes {
				want := float32(r*b.width + c)
				if c >= b.width {
					want = 0
				}
				if got := panel.v[at(r, c)]; got != want {
					fail("%s: panel [%d][%d] is %g, want %g", what, r, c, got, want)
					break
				}
				if c < b.width && flat.v[r*b.width+c] != want {
					fail("%s: flat [%d][%d] is %g, want %g", what, r, c, flat.v[r*b.width+c], want)
					break
				}
			}
		}
		flat.done(what)
		panel.done(what)
	}
	return checks
}
