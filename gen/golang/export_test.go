package golang

import (
	"bytes"

	"github.com/dnngen/dnngen/internal/ir"
)

// EmitModel emits the public file alone.
func EmitModel(p *ir.Program, o Options) ([]byte, error) {
	e := &emitter{p: p, o: o, name: PackageName(p.Name)}
	var b bytes.Buffer
	err := e.modelFile().Render(&b)
	return b.Bytes(), err
}
