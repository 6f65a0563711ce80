package cuda

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/internal/expr"
)

// calls names the device functions of the primitives that are functions.
var calls = map[expr.Op]string{
	expr.Exp: "dnn_exp", expr.Expm1: "dnn_expm1", expr.Log: "dnn_log", expr.Tanh: "dnn_tanh",
	expr.Sigmoid: "dnn_sigmoid", expr.Softplus: "dnn_softplus", expr.Erf: "dnn_erf",
	expr.Sqrt: "dnn_sqrt", expr.Abs: "dnn_abs",
}

// infix holds the primitives that are operators.
var infix = map[expr.Op]string{expr.Add: "+", expr.Sub: "-", expr.Mul: "*", expr.Div: "/"}

// lower writes a line for each node that the roots need, with bind for the
// variables, and returns what each root is called.
func lower(w *writer, bind map[string]string, roots ...*expr.Node) []string {
	names := map[string]string{}
	for _, n := range expr.Schedule(roots...) {
		var a []string
		for _, arg := range n.Args {
			a = append(a, names[arg.Key()])
		}
		value := ""
		switch n.Op {
		case expr.Const:
			names[n.Key()] = literal(n.Value)
			continue
		case expr.Var:
			name, ok := bind[n.Name]
			if !ok {
				panic(fmt.Sprintf("cuda: variable %q is not bound", n.Name))
			}
			names[n.Key()] = name
			continue
		case expr.Neg:
			value = "-" + a[0]
		case expr.Select:
			value = fmt.Sprintf("%s <= 0.0f ? %s : %s", a[0], a[1], a[2])
		default:
			if op, ok := infix[n.Op]; ok {
				value = a[0] + " " + op + " " + a[1]
			} else if f, ok := calls[n.Op]; ok {
				value = f + "(" + a[0] + ")"
			} else {
				panic(fmt.Sprintf("cuda: %s is not lowered to CUDA", n.Op))
			}
		}
		v := w.fresh()
		w.line("const float %s = %s;", v, value)
		names[n.Key()] = v
	}
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = names[r.Key()]
	}
	return out
}

// literal writes a float32 constant; a negative one in parentheses.
func literal(v float64) string {
	f := float32(v)
	if math.IsInf(float64(f), 0) || f != f {
		return fmt.Sprintf("dnn_float(0x%08xu)", math.Float32bits(f))
	}
	s := strconv.FormatFloat(float64(f), 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	s += "f"
	if math.Signbit(float64(f)) {
		return "(" + s + ")"
	}
	return s
}
