package plan

import (
	"fmt"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/ir"
)

// extent is the size of a product: of its rows, of each sum, and of its columns.
type extent struct {
	rows, depth, panels int
	panelDepth          int // rows that a panel of weights takes in memory; 0: they are transposed
}

// multiply fills in a product and its map.
func (b *builder) multiply(m *Multiply, source *ir.Map, doc string, x extent) {
	m.Panels = min(groupPanels(x.rows), x.panels)
	m.Groups = (x.panels + m.Panels - 1) / m.Panels
	mp, buffers, learned := b.mapOf(source, x.rows)
	m.Learned = learned
	if mp != nil {
		units := m.Panels / mp.Width()
		for _, v := range buffers {
			v.Step *= units
			m.Buffers = append(m.Buffers, v)
		}
	}
	whole := kernel.Product{
		Doc: doc, Splits: splits(x.rows), Depth: x.depth, PanelDepth: x.panelDepth, Rows: x.rows,
		Stride: m.Src.Stride(), Bias: m.Bias != nil, Store: m.Acc != nil, Map: mp,
		Private: b.sharing(0) == Unshared,
	}
	tiles := whole.Splits[vec.AVX512].Tiles()
	pieces := groupPieces(m.Groups, tiles, x.rows, x.panelDepth == 0)
	size := x.depth
	if tiles > 1 && (x.panelDepth > 0 || m.Groups*pieces >= leastPieces) {
		size = b.blockDepth(x.depth)
	}
	for first := 0; first < x.depth; first += size {
		b.block(m, whole, x.panels, first, min(size, x.depth-first))
	}
	m.Sharing = b.sharing(x.rows * x.depth * lanes(x.panels))
	m.Most = b.most(whole.Splits[vec.AVX512].Height*size*lanes(m.Panels), tiles*m.Groups)
	if size < x.depth {
		b.blocked(m, pieces)
	} else {
		m.Whole = m.Most >= max(tiles, whole.Splits[vec.AVX2].Tiles())
	}
}

// block adds a block of the depth, size steps from first on, to a product. whole is
// the kernel for all of it, to make that of the block from.
func (b *builder) block(m *Multiply, whole kernel.Product, panels, first, size int) {
	k, suffix := whole, ""
	k.Depth = size
	switch begins, ends := first == 0, first+size == whole.Depth; {
	case begins && ends:
	case begins:
		suffix = "Begin"
		k.Doc += fmt.Sprintf(" It begins, with the first %d.", size)
		k.Store, k.Map = true, nil
		k.Private = k.Private || m.Acc == nil // the sums wait in the worker's slab
	case ends:
		suffix = "End"
		k.Doc += fmt.Sprintf(" It ends, with the last %d.", size)
		k.Bias, k.Resume = false, true
	default:
		suffix = "Middle"
		k.Doc += fmt.Sprintf(" It goes on with the sums of those before, by %d.", size)
		k.Bias, k.Resume, k.Store, k.Map = false, true, true, nil
	}
	if k.Resume && k.Map == nil {
		k.Private = true // what is written was read before
	}
	transposed := k.PanelDepth == 0
	if transposed {
		k.PanelDepth = (size + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
	}
	part := Block{First: first}
	product := func(suffix string, panels int) *kernel.Product {
		k := k
		k.Name, k.Panels = m.Name+suffix, panels
		return share(b, &k)
	}
	part.Kernel = product(suffix, m.Panels)
	if rest := panels % m.Panels; rest > 0 {
		part.Last = product(suffix+"Last", rest)
	}
	if transposed {
		if suffix != "End" {
			suffix = "" // blocks of equal size are transposed alike
		}
		part.Transpose = b.transpose(m, suffix, first, size, panels)
	}
	m.Blocks = append(m.Blocks, part)
}

// blocked decides how a product of several blocks is shared, and where its sums
// wait from one block to the next.
func (b *builder) blocked(m *Multiply, pieces int) {
	m.Pieces = 1
	if m.Sharing != Unshared {
		m.Pieces = pieces
	}
	switch size := m.Panels * b.Rows * kernel.Lanes; {
	case m.Acc != nil:
		m.Sums = m.Acc
	case b.infer != nil:
		m.Sums = b.inferSums()
	case m.Blocks[0].Transpose != nil:
		b.SlabSize = max(b.SlabSize, m.Blocks[0].Transpose.Size+size)
	default:
		b.SlabSize = max(b.SlabSize, size)
	}
}

// transpose plans the transposed weights of a gradient by inputs: of all
// outputs, or of size of them.
func (b *builder) transpose(m *Multiply, suffix string, first, size, panels int) *Transpose {
	w, depth := m.Weight, (size+kernel.Lanes-1)/kernel.Lanes
	t := &Transpose{
		Name: fmt.Sprintf("transpose%d%s", m.Source.(*ir.GradInput).Layer, suffix), Weight: w, First: first, Groups: m.Groups,
		Size: m.Panels * depth * kernel.Lanes * kernel.Lanes,
	}
	lines := func(name string, lines int) *kernel.Transpose {
		return share(b, &kernel.Transpose{Name: name, Panels: depth, PanelRows: w.InPad, Lines: lines})
	}
	t.Kernel = lines(t.Name, m.Panels)
	if rest := panels % m.Panels; rest > 0 {
		t.Last = lines(t.Name+"Last", rest)
	}
	if b.Tiled {
		t.Offset = b.SlabSize
		b.SlabSize += panels * depth * kernel.Lanes * kernel.Lanes
	} else {
		b.SlabSize = max(b.SlabSize, t.Size)
	}
	b.Transposes = append(b.Transposes, t)
	return t
}
