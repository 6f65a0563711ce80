package ir

// Lifetime is the range of step numbers over which a buffer holds a value:
// from the step that writes it first to the one that reads it last.
type Lifetime struct{ First, Last int }

func (l Lifetime) meets(m Lifetime) bool { return l.First <= m.Last && m.First <= l.Last }

// Lifetimes returns the lifetimes of the training buffers. Steps are numbered
// in the order Forward, Loss, Backward. Raw lives to the end, since it may be
// read after the step.
func Lifetimes(p *Program) map[*Buffer]Lifetime {
	life := map[*Buffer]Lifetime{}
	at := track(life, p.Forward, 0)
	touch(life, at, p.Loss.Raw, p.Loss.Grad)
	at = track(life, p.Backward, at+1)
	touch(life, at, p.Raw)
	return life
}

// InferLifetimes returns the lifetimes of the inference buffers.
func InferLifetimes(p *Program) map[*Buffer]Lifetime {
	life := map[*Buffer]Lifetime{}
	at := track(life, p.Infer, 0)
	touch(life, at, p.InferRaw)
	return life
}

func track(life map[*Buffer]Lifetime, steps []Step, at int) int {
	for _, s := range steps {
		touch(life, at, Reads(s)...)
		touch(life, at, Writes(s)...)
		at++
	}
	return at
}

func touch(life map[*Buffer]Lifetime, at int, buffers ...*Buffer) {
	for _, b := range buffers {
		l, ok := life[b]
		if !ok {
			l.First = at
		}
		l.Last = at
		life[b] = l
	}
}
