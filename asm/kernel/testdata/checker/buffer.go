package main

import (
	"math"
	"math/rand/v2"
	"syscall"
	"unsafe"
)

// u is half the distance from 1 to the next float32.
const u = 1.0 / (1 << 24)

const (
	page     = 4096
	sentinel = 0x7fa5a5a5 // a NaN: what reads it shows it
)

// buffer is memory between two pages that must not be touched.
type buffer struct {
	v   []float32 // what the kernel may use
	all []float32 // with what lies around it on its pages
	at  int
}

// free lists buffers by their pages, so that they are used again.
var free = map[int][][]byte{}

// guarded returns n float32 that end, or begin, at a page that must not be
// touched. What is left of the pages holds sentinels.
func guarded(n int, atEnd bool) *buffer {
	pages := (4*n + page - 1) / page
	var mem []byte
	if list := free[pages]; len(list) > 0 {
		mem, free[pages] = list[len(list)-1], list[:len(list)-1]
	} else {
		var err error
		if mem, err = syscall.Mmap(-1, 0, (pages+2)*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON); err != nil {
			panic(err)
		}
		for _, guard := range [][]byte{mem[:page], mem[(pages+1)*page:]} {
			if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
				panic(err)
			}
		}
	}
	b := &buffer{all: unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), pages*page/4)}
	for i := range b.all {
		b.all[i] = math.Float32frombits(sentinel)
	}
	if atEnd {
		b.at = len(b.all) - n
	}
	b.v = b.all[b.at : b.at+n]
	for i := range b.v {
		b.v[i] = 0
	}
	return b
}

// done checks the sentinels and gives the memory back.
func (b *buffer) done(what string) {
	for i, v := range b.all {
		if (i < b.at || i >= b.at+len(b.v)) && math.Float32bits(v) != sentinel {
			fail("%s: wrote at %d of [%d, %d)", what, i, b.at, b.at+len(b.v))
			break
		}
	}
	pages := len(b.all) * 4 / page
	start := unsafe.Add(unsafe.Pointer(&b.all[0]), -page)
	free[pages] = append(free[pages], unsafe.Slice((*byte)(start), (pages+2)*page))
}

func (b *buffer) p() *float32 { return &b.v[0] }

func panels(width int) int { return (width + lanes - 1) / lanes }

// whole draws whole numbers of at most 8, whose products and sums are exact.
func whole(r *rand.Rand) float32 { return float32(r.IntN(17) - 8) }

func normal(r *rand.Rand) float32 { return float32(r.NormFloat64()) }

// source returns m [rows][width] in panels or, with a stride, row by row.
func source(m [][]float32, rows, stride int, atEnd bool) *buffer {
	if stride == 0 {
		b := guarded(panels(len(m[0]))*rows*lanes, atEnd)
		blocked(b.v, m, rows)
		return b
	}
	b := guarded(rows*stride, atEnd)
	for i, row := range m {
		copy(b.v[i*stride:], row)
	}
	return b
}

// blocked puts m [rows][width] into panels.
func blocked(dst []float32, m [][]float32, capacity int) {
	for r := range m {
		for c, v := range m[r] {
			dst[(c/lanes*capacity+r)*lanes+c%lanes] = v
		}
	}
}

func matrix(r *rand.Rand, rows, cols int, draw func(*rand.Rand) float32) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, cols)
		for j := range m[i] {
			m[i][j] = draw(r)
		}
	}
	return m
}

// bound is what rounding may do to a sum of k products whose magnitudes add up
// to size.
func bound(k int, size float64) float64 { return (4 + 2*math.Sqrt(float64(k))) * u * size }

// few has fewer dimensions tried: an emulator takes its time.
var few bool

// sizes are the dimensions that are tried.
func sizes() []int {
	if few {
		return []int{1, 2, 7, 16, 17, 33, 64, 128, 129}
	}
	var list []int
	for i := 1; i <= 33; i++ {
		list = append(list, i)
	}
	return append(list, 63, 64, 65, 127, 128, 129)
}

// upTo are the dimensions that are tried up to one, and that.
func upTo(n int) []int {
	var list []int
	for _, size := range sizes() {
		if size < n {
			list = append(list, size)
		}
	}
	return append(list, n)
}
