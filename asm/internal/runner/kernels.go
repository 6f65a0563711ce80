package runner

import (
	"fmt"
	"reflect"

	"github.com/dnngen/dnngen/asm/internal/emulate"
)

// Kernels are a network's kernels on a device.
type Kernels struct {
	Table any    // a pointer to a struct of functions
	Text  []byte // the assembly
}

// kernels holds them by network and device.
var kernels = map[string]map[string]Kernels{}

// RegisterKernels makes a network's kernels known.
func RegisterKernels(name string, byDevice map[string]Kernels) { kernels[name] = byDevice }

// table returns the struct of a request's kernels, and a function that puts its old
// functions back.
func table(q *Request) (table reflect.Value, restore func()) {
	table = reflect.ValueOf(kernels[q.Net][q.Device].Table).Elem()
	old := reflect.New(table.Type()).Elem()
	old.Set(table)
	return table, func() { table.Set(old) }
}

// emulated puts emulated functions into the places of all of a request's kernels.
func emulated(q *Request) (restore func(), err error) {
	p, err := emulate.Load(kernels[q.Net][q.Device].Text)
	if err != nil {
		return nil, err
	}
	t, restore := table(q)
	all := 0
	for i := range t.NumField() {
		if f := t.Field(i); f.Kind() == reflect.Func && !f.IsNil() {
			all++
		}
	}
	if n, err := p.Replace(t.Addr().Interface()); err != nil || n < all {
		restore()
		return nil, fmt.Errorf("%d of %d kernels are emulated: %w", n, all, err)
	}
	return restore, nil
}
