package ir

import (
	"fmt"
	"strings"
)

// String writes the program as text, a line a step, for golden files and for
// people who want to see what a pass did.
func (p *Program) String() string {
	var b strings.Builder
	mode := fmt.Sprintf("batch %d", p.Batch)
	if p.Full {
		mode = fmt.Sprintf("full set in chunks of %d", p.Batch)
	}
	fmt.Fprintf(&b, "program %s: %d -> %d, %s\n", p.Name, p.Input, p.Output, mode)
	for _, q := range p.Params {
		fmt.Fprintf(&b, "param %s %v %s %.6g\n", q.Name, q.Shape, q.Init.Kind, q.Init.Scale)
	}
	buffers := func(title string, list []*Buffer) {
		for _, v := range list {
			fmt.Fprintf(&b, "%s %s [rows, %d] %s column %d\n", title, v.Name, v.Width, v.Role, v.Column)
		}
	}
	buffers("buffer", p.Buffers)
	buffers("infer buffer", p.InferBuffers)
	section := func(title string, steps []Step) {
		fmt.Fprintf(&b, "%s\n", title)
		for _, s := range steps {
			fmt.Fprintf(&b, "  %s\n", StepString(s))
		}
	}
	section("forward", p.Forward)
	fmt.Fprintf(&b, "loss\n  %s\n", p.Loss)
	section("backward", p.Backward)
	fmt.Fprintf(&b, "updates\n")
	for _, u := range p.Updates {
		fmt.Fprintf(&b, "  update %s\n", u.Param.Name)
	}
	section("infer", p.Infer)
	fmt.Fprintf(&b, "rule\n")
	for _, s := range p.Rule.Scalars {
		fmt.Fprintf(&b, "  once a step: %s = %s\n", s.Name, s.Expr)
	}
	for i, s := range p.Rule.States {
		fmt.Fprintf(&b, "  %s = %s\n", s, p.Rule.Next[i])
	}
	fmt.Fprintf(&b, "  w = %s\n", p.Rule.W)
	fmt.Fprintf(&b, "schedule\n  lr = %s\n", p.Schedule)
	if p.Transform.Value != nil {
		fmt.Fprintf(&b, "output\n  %s\n", p.Transform.Value)
	} else {
		fmt.Fprintf(&b, "output\n  %s\n", p.Transform.Rowwise)
	}
	return b.String()
}

// StepString writes one step on one line.
func StepString(s Step) string {
	switch s := s.(type) {
	case *Linear:
		text := fmt.Sprintf("linear %s = %s*%s^T", nameOf(s.Out, "acc"), s.X.Name, s.W.Name)
		if s.Bias != nil {
			text += " + " + s.Bias.Name
		}
		return text + fused(s.Map)
	case *Map:
		return mapString(s)
	case *GradInput:
		return fmt.Sprintf("gradinput %s = %s*%s", nameOf(s.Out, "acc"), s.DZ.Name, s.W.Name) + fused(s.Map)
	case *GradWeight:
		text := fmt.Sprintf("gradweight %s = %s^T*%s", s.W.Name, s.DZ.Name, s.X.Name)
		if s.Bias != nil {
			text += fmt.Sprintf(", %s = sum(%s)", s.Bias.Name, s.DZ.Name)
		}
		if s.Update {
			text += ", update"
		}
		return text
	}
	return fmt.Sprintf("unknown step %T", s)
}

// String writes the loss on one line.
func (l *Loss) String() string {
	if l.Rowwise != "" {
		return fmt.Sprintf("%s(%s), %s", l.Rowwise, l.Raw.Name, l.Grad.Name)
	}
	return fmt.Sprintf("mean of %s over z=%s, %s = %s", l.Value, l.Raw.Name, l.Grad.Name, l.Slope)
}

func nameOf(b *Buffer, none string) string {
	if b == nil {
		return none
	}
	return b.Name
}

func fused(m *Map) string {
	if m == nil {
		return ""
	}
	return "; " + mapString(m)
}

func mapString(m *Map) string {
	var parts []string
	for _, out := range m.Out {
		parts = append(parts, fmt.Sprintf("%s = %s", viewString(out.View), out.Expr))
	}
	for _, sum := range m.Sum {
		parts = append(parts, fmt.Sprintf("d%s += %s", sum.Param.Name, sum.Expr))
	}
	var in []string
	for _, i := range m.In {
		in = append(in, i.Var+"="+viewString(i.View))
	}
	if m.Param != nil {
		in = append(in, VarParam+"="+m.Param.Name)
	}
	return fmt.Sprintf("map %d: %s with %s", m.Width, strings.Join(parts, ", "), strings.Join(in, ", "))
}

func viewString(v View) string {
	name := nameOf(v.Buffer, "acc")
	if v.Stride == 1 && v.Offset == 0 {
		return name
	}
	return fmt.Sprintf("%s[%d::%d]", name, v.Offset, v.Stride)
}
