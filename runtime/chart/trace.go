package chart

// traceLimit bounds the points of a trace: more than a chart has pixels.
const traceLimit = 2048

// Trace collects the points of a curve of any length in bounded memory. Where
// it gets full, each two neighbours become their mean.
type Trace struct {
	points []Point
	each   int   // points that go into one; 0 means 1
	open   Point // sum of the points of the unfinished one
	count  int   // how many those are
}

// Add appends a point. It allocates only while the trace grows to its bound.
func (t *Trace) Add(x, y float64) {
	if t.each == 0 {
		t.each = 1
	}
	t.open.X += x
	t.open.Y += y
	t.count++
	if t.count < t.each {
		return
	}
	t.points = append(t.points, Point{t.open.X / float64(t.each), t.open.Y / float64(t.each)})
	t.open, t.count = Point{}, 0
	if len(t.points) < traceLimit {
		return
	}
	half := t.points[:0]
	for i := 0; i+1 < len(t.points); i += 2 {
		a, b := t.points[i], t.points[i+1]
		half = append(half, Point{(a.X + b.X) / 2, (a.Y + b.Y) / 2})
	}
	t.points = half
	t.each *= 2
}

// Points returns the points so far. The slice is valid until the next Add.
func (t *Trace) Points() []Point { return t.points }
