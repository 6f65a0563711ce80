// Command checker runs kernels on buffers that end or begin at a page that
// must not be touched, and compares what they make with plain loops. The test
// of package kernel builds it together with the kernels and their table.
//
//	checker SET [FILE]
//
// With the file of a set's kernels, these are emulated, and tried with fewer sizes.
package main

import (
	"fmt"
	"os"

	"github.com/dnngen/dnngen/asm/internal/emulate"
)

const lanes = 16

type set struct {
	products   []product
	gradients  []gradient
	transposes []transpose
	blocks     []block
	dots       []dot
	biases     []bias
	losses     []loss
	updates    []update
	maps       []apply
	denses     []dense
}

var failures int

func fail(format string, args ...any) {
	if failures++; failures <= 20 {
		fmt.Printf("FAIL "+format+"\n", args...)
	}
}

func main() {
	s, ok := sets[os.Args[1]]
	if !ok {
		fmt.Println("FAIL no such instruction set")
		os.Exit(1)
	}
	if len(os.Args) > 2 {
		if err := emulated(&s, os.Args[2]); err != nil {
			fmt.Println("FAIL", err)
			os.Exit(1)
		}
	}
	checks := 0
	for _, atEnd := range []bool{false, true} {
		for _, p := range s.products {
			checks += p.check(atEnd)
		}
		for _, g := range s.gradients {
			checks += g.check(atEnd)
		}
		for _, t := range s.transposes {
			checks += t.check(atEnd)
		}
		for _, b := range s.blocks {
			checks += b.check(atEnd)
		}
		for _, d := range s.dots {
			checks += d.check(atEnd)
		}
		for _, b := range s.biases {
			checks += b.check(atEnd)
		}
		for _, l := range s.losses {
			checks += l.check(atEnd)
		}
		for _, u := range s.updates {
			checks += u.check(atEnd)
		}
		for _, m := range s.maps {
			checks += m.check(atEnd)
		}
		for _, d := range s.denses {
			checks += d.check(atEnd)
		}
	}
	fmt.Printf("%d checks, %d failures\n", checks, failures)
	if failures > 0 {
		os.Exit(1)
	}
}

// emulated puts emulated kernels into the places of a set's.
func emulated(s *set, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := emulate.Load(text)
	if err != nil {
		return err
	}
	few = true
	n, err := p.Replace(s)
	fmt.Printf("%d kernels are emulated, ", n)
	return err
}
