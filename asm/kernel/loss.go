package kernel

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/asm/vmath"
	"github.com/dnngen/dnngen/internal/expr"
)

// Loss computes an element-wise loss and its gradient. It returns the sum of
// the losses, in float64: single losses are rounded to float32, their sum is
// not. Lanes beyond the width get gradient 0.
type Loss struct {
	Name  string
	Width int // outputs
	Rows  int // rows that each panel holds
	// Value and Slope are the loss of output z against target y, and its
	// derivative by z.
	Value, Slope *expr.Node
}

// FuncName implements Kernel.
func (k *Loss) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Loss) Key() string {
	return fmt.Sprintf("loss %d %d %s %s", k.Width, k.Rows, k.Value.Key(), k.Slope.Key())
}

// Params implements Kernel.
func (k *Loss) Params() Params {
	return lossParams(k.Width, k.Rows, Pointer("y", fmt.Sprintf("[rows][%d], targets", k.Width)))
}

func lossParams(width, rows int, target Param) Params {
	shape := fmt.Sprintf("[%d][%d][16]", (width+Lanes-1)/Lanes, rows)
	return Params{List: []Param{
		Pointer("z", shape+", raw outputs"),
		Pointer("dz", shape+", gradient by them"),
		target,
		Count("rows", "number of rows"),
		{"scale", "float32", "factor of the gradient"},
	}, Result: "float64"}
}

// about implements Kernel.
func (k *Loss) about() string {
	return "returns the sum of " + k.Value.String() + " and writes its derivative, scaled."
}

// body implements Kernel.
func (k *Loss) body(f *function) {
	z, dz, y := f.moving("z", "at the row"), f.moving("dz", "at the row"), f.moving("y", "at the row")
	rows := f.count("rows")
	total := f.newDoubles()
	zp, dzp := f.GP64(), f.GP64()
	panel := func(lanes int) {
		for v := range f.parts() {
			k.vector(f, zp, dzp, y, v, lanes-v*f.Lanes(), total)
		}
	}
	f.repeat("row", rows, func() {
		f.MOVQ(z, zp)
		f.MOVQ(dz, dzp)
		f.loop("panel", k.Width/Lanes, func() {
			panel(Lanes)
			f.add(lineBytes, y)
			f.add(k.Rows*lineBytes, zp)
			f.add(k.Rows*lineBytes, dzp)
		})
		if rest := k.Width % Lanes; rest > 0 {
			panel(rest)
			f.add(4*rest, y)
		}
		f.add(lineBytes, z)
		f.add(lineBytes, dz)
	})
	f.returnSum(total)
}

// vector computes one vector of losses, of which the first lanes count.
func (k *Loss) vector(f *function, z, dz, y gp, v, lanes int, total *doubles) {
	here := at(dz, f.part(v))
	if lanes <= 0 {
		f.StoreVec(f.Zero(), here)
		return
	}
	vars := map[string]vec.Val{"z": vec.At(at(z, f.part(v))), "y": vec.At(at(y, f.part(v)))}
	var tail vec.Tail
	if lanes < f.Lanes() {
		tail = f.TailOf(lanes)
		vars["y"] = f.LoadTail(at(y, f.part(v)), tail)
	}
	values := f.lower([]*expr.Node{k.Value, k.Slope}, vars)
	grad := f.Mul(values[1], vec.Each(f.slot("scale")))
	if lanes < f.Lanes() {
		values[0], grad = f.KeepTail(values[0], tail), f.KeepTail(grad, tail)
	}
	f.StoreVec(grad, here)
	total.add(values[0], v)
}

// doubles are 16 sums in float64, one a lane.
type doubles struct {
	f *function
	// sum holds lanes in rising order, half as many in a register as of float32.
	sum []vec.Vec
}

func (f *function) newDoubles() *doubles {
	d := &doubles{f: f, sum: make([]vec.Vec, 2*f.parts())}
	for i := range d.sum {
		d.sum[i] = f.Zero()
	}
	return d
}

// add adds the lanes of part v.
func (d *doubles) add(x vec.Vec, v int) {
	f := d.f
	high, low, wide := f.Fresh(), f.Fresh(), f.Fresh()
	if f.ISA() == vec.AVX512 {
		f.VCVTPS2PD(x.Reg().AsY(), low.Reg())
		f.VEXTRACTF64X4(operand.U8(1), x.Reg(), high.Reg().AsY())
		f.VCVTPS2PD(high.Reg().AsY(), wide.Reg())
	} else {
		f.VCVTPS2PD(x.X(), low.Reg())
		f.VEXTRACTF128(operand.U8(1), x.Reg(), high.X())
		f.VCVTPS2PD(high.X(), wide.Reg())
	}
	f.VADDPD(low.Reg(), d.sum[2*v].Reg(), d.sum[2*v].Reg())
	f.VADDPD(wide.Reg(), d.sum[2*v+1].Reg(), d.sum[2*v+1].Reg())
}

// returnSum adds the lanes, i and i+8 first, then i and i+4 and so on, and
// makes the sum the kernel's result.
func (f *function) returnSum(d *doubles) {
	s, t := d.sum[0], f.Fresh()
	if f.ISA() == vec.AVX512 {
		f.VADDPD(d.sum[1].Reg(), s.Reg(), s.Reg())
		f.VEXTRACTF64X4(operand.U8(1), s.Reg(), t.Reg().AsY())
	} else {
		f.VADDPD(d.sum[2].Reg(), s.Reg(), s.Reg())
		f.VADDPD(d.sum[3].Reg(), d.sum[1].Reg(), t.Reg())
	}
	f.VADDPD(t.Reg().AsY(), s.Reg().AsY(), s.Reg().AsY())
	if f.ISA() == vec.AVX512 {
		f.VEXTRACTF64X2(operand.U8(1), s.Reg().AsY(), t.X())
	} else {
		f.VEXTRACTF128(operand.U8(1), s.Reg(), t.X())
	}
	f.VADDPD(t.X(), s.X(), s.X())
	f.VPERMILPD(operand.U8(1), s.X(), t.X())
	f.VADDSD(t.X(), s.X(), s.X())
	f.VMOVSD(s.X(), f.result())
}

// CrossEntropy computes the cross-entropy of rows of logits against class
// indices, log(sum exp(z)) - z[class], and its gradient softmax(z) -
// onehot(class). The largest logit of a row is taken off first, so that
// nothing overflows. It returns the sum of the losses, in float64.
type CrossEntropy struct {
	Name  string
	Width int // classes
	Rows  int // rows that each panel holds
}

// FuncName implements Kernel.
func (k *CrossEntropy) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *CrossEntropy) Key() string { return fmt.Sprintf("crossentropy %d %d", k.Width, k.Rows) }

// Params implements Kernel.
func (k *CrossEntropy) Params() Params {
	return lossParams(k.Width, k.Rows, Param{"class", "*int32", "[rows], class indices"})
}

// Offsets of what waits for its logarithm, 16 rows at a time.
const (
	sumOffset  = 0         // sums of exponentials
	restOffset = lineBytes // largest logits less those of the class
)

// about implements Kernel.
func (k *CrossEntropy) about() string {
	return "returns the sum of the rows' cross-entropies and writes softmax - onehot, scaled."
}

// body implements Kernel.
func (k *CrossEntropy) body(f *function) {
	c := &crossEntropy{function: f, k: k, z: f.moving("z", "at the row"), dz: f.moving("dz", "at the row"), class: f.moving("class", "at the row")}
	c.waiting = f.scratch(2 * lineBytes)
	c.at = f.GP64()
	f.Name(c.at, "rows that wait for their logarithm, times 4")
	if rest := k.Width % Lanes; rest > 0 {
		c.masks(rest)
	}
	rows := f.count("rows")
	total := f.newDoubles()
	c.clear()
	f.repeat("row", rows, func() {
		c.row()
		f.add(4, c.at)
		skip := f.label("more")
		f.CMPQ(c.at, operand.U8(4*Lanes))
		f.JNE(operand.LabelRef(skip))
		c.flush(total)
		c.clear()
		f.Label(skip)
	})
	c.flush(total)
	f.returnSum(total)
}

// crossEntropy is the state while a CrossEntropy is written.
type crossEntropy struct {
	*function
	k            *CrossEntropy
	z, dz, class gp
	waiting, at  gp
	tail         []vec.Tail // of the last panel, by part
	fill         []vec.Vec  // -Inf in the lanes of the last panel beyond the width
}

// masks prepares the masks of the last panel. A part without lanes has an
// empty tail, a full part one of all lanes.
func (c *crossEntropy) masks(rest int) {
	for v := range c.parts() {
		lanes := min(max(rest-v*c.Lanes(), 0), c.Lanes())
		t := c.TailOf(lanes)
		ones := c.KeepTail(c.Reg(vec.Bits(0xffffffff)), t)
		c.tail = append(c.tail, t)
		c.fill = append(c.fill, c.AndNot(ones, c.Reg(vec.C(math.Inf(-1)))))
	}
}

// clear empties the waiting rows: log(1) + 0 adds nothing.
func (c *crossEntropy) clear() {
	c.XORQ(c.at, c.at)
	for v := range c.parts() {
		c.StoreVec(c.Reg(vec.C(1)), at(c.waiting, sumOffset+c.part(v)))
		c.StoreVec(c.Zero(), at(c.waiting, restOffset+c.part(v)))
	}
}

// flush adds the losses of the waiting rows.
func (c *crossEntropy) flush(total *doubles) {
	for v := range c.parts() {
		log := vmath.Log(c.Emitter, c.LoadVec(at(c.waiting, sumOffset+c.part(v))))
		total.add(c.Add(log, c.LoadVec(at(c.waiting, restOffset+c.part(v)))), v)
	}
}

// logits returns a panel of z, -Inf beyond the width.
func (c *crossEntropy) logits(p reg.Register, last bool) vec.Wide {
	w := make(vec.Wide, c.parts())
	for v := range w {
		m := at(p, c.part(v))
		if last && c.tail != nil {
			w[v] = c.Or(c.LoadTail(m, c.tail[v]), c.fill[v])
		} else {
			w[v] = c.LoadVec(m)
		}
	}
	return w
}

// row does one row.
func (c *crossEntropy) row() {
	k := c.k
	panels := (k.Width + Lanes - 1) / Lanes
	step := k.Rows * lineBytes
	zp, dzp := c.GP64(), c.GP64()
	// top becomes the largest logit, in every lane.
	c.MOVQ(c.z, zp)
	var first vec.Wide
	if panels == 1 {
		first = c.logits(zp, true)
	} else {
		first = c.logits(zp, false)
	}
	top := make(vec.Wide, c.parts())
	for v := range top {
		top[v] = c.Copy(first[v])
	}
	larger := func(last bool) {
		c.add(step, zp)
		for v, x := range c.logits(zp, last) {
			c.VMAXPS(x.Reg(), top[v].Reg(), top[v].Reg())
		}
	}
	if panels > 1 {
		c.loop("largest", panels-2, func() { larger(false) })
		larger(true)
	}
	peak := c.MaxLane(top)
	all := c.BroadcastLane(peak)
	// sum of exponentials, which are put in dz.
	sums := make(vec.Wide, c.parts())
	for v := range sums {
		sums[v] = c.Zero()
	}
	exps := func(last bool) vec.Wide {
		e := c.logits(zp, last)
		for v := range e {
			e[v] = vmath.Exp(c.Emitter, c.Sub(e[v], all))
			c.AddInto(sums[v], e[v])
		}
		return e
	}
	c.MOVQ(c.z, zp)
	c.MOVQ(c.dz, dzp)
	var only vec.Wide
	if panels == 1 {
		only = exps(true)
	} else {
		put := func(last bool) {
			for v, x := range exps(last) {
				c.StoreVec(x, at(dzp, c.part(v)))
			}
			c.add(step, zp)
			c.add(step, dzp)
		}
		c.loop("exp", panels-1, func() { put(false) })
		put(true)
	}
	sum := c.Sum(sums)
	c.VMOVSS(sum.X(), operand.Mem{Base: c.waiting, Index: c.at, Scale: 1, Disp: sumOffset})
	c.gradient(sum, only, panels, step)
	c.label16(peak)
	c.add(lineBytes, c.z)
	c.add(lineBytes, c.dz)
}

// gradient scales the exponentials to the gradient.
func (c *crossEntropy) gradient(sum vec.Vec, only vec.Wide, panels, step int) {
	scale := c.Fresh()
	c.VMOVSS(c.slot("scale"), scale.X())
	c.VDIVSS(sum.X(), scale.X(), scale.X())
	all := c.BroadcastLane(scale)
	if panels == 1 {
		for v, x := range only {
			c.StoreVec(c.Mul(x, all), at(c.dz, c.part(v)))
		}
		return
	}
	dzp := c.GP64()
	c.MOVQ(c.dz, dzp)
	c.loop("scale", panels, func() {
		for v := range c.parts() {
			m := at(dzp, c.part(v))
			c.StoreVec(c.Mul(all, vec.At(m)), m)
		}
		c.add(step, dzp)
	})
}

// label16 takes 1 off the gradient of the row's class and notes by how much
// its logit is below the largest.
func (c *crossEntropy) label16(peak vec.Vec) {
	class, line := c.GP64(), c.GP64()
	c.MOVLQSX(at(c.class, 0), class)
	c.add(4, c.class)
	c.MOVQ(class, line)
	c.SHRQ(operand.U8(4), line)
	c.IMUL3Q(operand.U32(uint32(c.k.Rows*lineBytes)), line, line)
	c.ANDQ(operand.U8(Lanes-1), class)
	c.LEAQ(operand.Mem{Base: line, Index: class, Scale: 4}, line)
	logit, grad := c.Fresh(), c.Fresh()
	c.VSUBSS(operand.Mem{Base: c.z, Index: line, Scale: 1}, peak.X(), logit.X())
	c.VMOVSS(logit.X(), operand.Mem{Base: c.waiting, Index: c.at, Scale: 1, Disp: restOffset})
	here := operand.Mem{Base: c.dz, Index: line, Scale: 1}
	c.VMOVSS(here, grad.X())
	c.VSUBSS(c.slot("scale"), grad.X(), grad.X())
	c.VMOVSS(grad.X(), here)
}
