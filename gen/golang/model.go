package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

// modelFile holds the package's documentation, its sizes and the typed model.
func (e *emitter) modelFile() *jen.File {
	f := e.file()
	f.PackageComment(fmt.Sprintf("Package %s trains and runs the network of %s.", e.name, oneLine(e.p.Source)))
	f.Const().Defs(
		id("Inputs").Op("=").Lit(e.p.Input).Comment("// features of a row"),
		id("Outputs").Op("=").Lit(e.p.Output).Comment("// raw outputs of a row"),
	)
	return f
}
