package ir

// Reads returns the buffers that a step reads.
func Reads(s Step) []*Buffer {
	switch s := s.(type) {
	case *Linear:
		return append([]*Buffer{s.X}, mapReads(s.Map)...)
	case *Map:
		return mapReads(s)
	case *GradInput:
		return append([]*Buffer{s.DZ}, mapReads(s.Map)...)
	case *GradWeight:
		return []*Buffer{s.DZ, s.X}
	}
	panic("ir: unknown step")
}

// Writes returns the buffers that a step writes.
func Writes(s Step) []*Buffer {
	var b []*Buffer
	var m *Map
	switch s := s.(type) {
	case *Linear:
		b, m = appendSet(b, s.Out), s.Map
	case *Map:
		m = s
	case *GradInput:
		b, m = appendSet(b, s.Out), s.Map
	case *GradWeight:
	default:
		panic("ir: unknown step")
	}
	return append(b, mapWrites(m)...)
}

func appendSet(list []*Buffer, b *Buffer) []*Buffer {
	if b == nil {
		return list
	}
	return append(list, b)
}

func mapReads(m *Map) []*Buffer {
	if m == nil {
		return nil
	}
	var list []*Buffer
	for _, in := range m.In {
		list = appendSet(list, in.View.Buffer)
	}
	return list
}

func mapWrites(m *Map) []*Buffer {
	if m == nil {
		return nil
	}
	var list []*Buffer
	for _, out := range m.Out {
		list = appendSet(list, out.View.Buffer)
	}
	return list
}

// FusedMap returns the Map that a step is or carries; nil if it has none.
func FusedMap(s Step) *Map {
	switch s := s.(type) {
	case *Linear:
		return s.Map
	case *Map:
		return s
	case *GradInput:
		return s.Map
	}
	return nil
}
