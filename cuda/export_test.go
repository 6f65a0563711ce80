package cuda

import (
	"strings"

	"github.com/dnngen/dnngen/internal/expr"
)

// LowerText returns the lines that compute a node, and what its value is called.
func LowerText(n *expr.Node, bind map[string]string) (lines, value string) {
	w := &writer{}
	value = lower(w, bind, n)[0]
	return strings.TrimSpace(w.b.String()), value
}
