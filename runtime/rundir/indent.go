package rundir

import "io"

// indenter writes compact JSON as json.MarshalIndent does, by two spaces. A
// confusion matrix of many classes is megabytes of JSON, and MarshalIndent holds
// it several times.
type indenter struct {
	w      io.Writer
	line   []byte
	depth  int
	text   bool // inside a string
	escape bool // after a backslash
	opened bool // after the start of an object or an array
}

// mostLine bounds what is held before it is written.
const mostLine = 32 << 10

// Write takes JSON without spaces, in pieces of any size.
func (i *indenter) Write(b []byte) (int, error) {
	for k, c := range b {
		i.put(c)
		if len(i.line) >= mostLine || k == len(b)-1 {
			if _, err := i.w.Write(i.line); err != nil {
				return k, err
			}
			i.line = i.line[:0]
		}
	}
	return len(b), nil
}

func (i *indenter) put(c byte) {
	switch {
	case i.escape:
		i.escape = false
	case i.text:
		i.escape, i.text = c == '\\', c != '"'
	case c == '}' || c == ']':
		i.depth--
		if !i.opened {
			i.newline()
		}
		i.opened = false
	default:
		if i.opened {
			i.newline()
		}
		i.opened, i.text = c == '{' || c == '[', c == '"'
	}
	i.line = append(i.line, c)
	if i.text || i.escape {
		return
	}
	switch c {
	case '{', '[':
		i.depth++
	case ',':
		i.newline()
	case ':':
		i.line = append(i.line, ' ')
	}
}

func (i *indenter) newline() {
	i.line = append(i.line, '\n')
	for range i.depth {
		i.line = append(i.line, "  "...)
	}
}
