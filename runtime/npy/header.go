package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	magic = "\x93NUMPY"
	// maxHeader is what NumPy itself writes at most in version 1, and far more
	// than a plain array needs in any version.
	maxHeader = 64 << 10
	// maxDims is the limit of NumPy 2.
	maxDims = 64
)

// header is the description that an .npy file starts with.
type header struct {
	dtype   dtype
	fortran bool
	shape   []int
}

// readHeader reads the magic string, the version and the description.
func readHeader(r io.Reader) (header, error) {
	var start [8]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return header{}, short(err, "its first eight bytes")
	}
	if string(start[:6]) != magic {
		return header{}, errorf("the file does not start with NumPy's mark: not an .npy file")
	}
	var length uint32
	switch start[6] {
	case 1:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return header{}, short(err, "the length of its header")
		}
		length = uint32(binary.LittleEndian.Uint16(b[:]))
	case 2, 3:
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return header{}, short(err, "the length of its header")
		}
		length = binary.LittleEndian.Uint32(b[:])
	default:
		return header{}, errorf("version %d.%d of the format is unknown; 1 to 3 are read", start[6], start[7])
	}
	if length > maxHeader {
		return header{}, errorf("a header of %d bytes is longer than %d", length, maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return header{}, short(err, "its header")
	}
	return parseHeader(string(text))
}

// short names the part of the file in which the bytes ran out. Other errors of
// the reader are passed on.
func short(err error, part string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errorf("the file ends inside %s", part)
	}
	return err
}

// parseHeader reads a Python dictionary with exactly the keys descr,
// fortran_order and shape.
func parseHeader(text string) (header, error) {
	var h header
	s := &literal{rest: text}
	seen := map[string]bool{}
	s.want("{")
	for s.err == nil && !s.take("}") {
		key := s.str()
		if seen[key] {
			s.fail("has the key %q twice", key)
		}
		seen[key] = true
		s.want(":")
		switch key {
		case "descr":
			h.dtype = s.dtype()
		case "fortran_order":
			h.fortran = s.boolean()
		case "shape":
			h.shape = s.tuple()
		default:
			s.fail("has the unknown key %q", key)
		}
		if !s.take(",") {
			s.want("}")
			break
		}
	}
	if s.err == nil && strings.Trim(s.rest, " \n") != "" {
		s.fail("goes on after its end")
	}
	if s.err == nil && len(seen) != 3 {
		s.fail("lacks one of descr, fortran_order and shape")
	}
	return h, s.err
}

// literal reads Python literals. After the first failure it reads no more, and
// err holds that failure.
type literal struct {
	rest string
	err  error
}

func (s *literal) fail(format string, args ...any) {
	if s.err == nil {
		s.err = errorf("the header %s", fmt.Sprintf(format, args...))
		s.rest = ""
	}
}

// take skips spaces and, where it comes next, the given text.
func (s *literal) take(text string) bool {
	s.rest = strings.TrimLeft(s.rest, " ")
	rest, found := strings.CutPrefix(s.rest, text)
	if found {
		s.rest = rest
	}
	return found
}

func (s *literal) want(text string) {
	if !s.take(text) {
		s.fail("lacks %q at %.20q", text, s.rest)
	}
}

// str reads a string without escapes, in single or double quotes.
func (s *literal) str() string {
	for _, quote := range []string{"'", `"`} {
		if s.take(quote) {
			v, rest, found := strings.Cut(s.rest, quote)
			if !found || strings.ContainsAny(v, "\\\n") {
				s.fail("has a string that does not end, or an escape")
				return ""
			}
			s.rest = rest
			return v
		}
	}
	s.fail("lacks a string at %.20q", s.rest)
	return ""
}

func (s *literal) boolean() bool {
	if s.take("True") {
		return true
	}
	if !s.take("False") {
		s.fail("lacks True or False at %.20q", s.rest)
	}
	return false
}

func (s *literal) tuple() []int {
	shape := []int{}
	s.want("(")
	for s.err == nil && !s.take(")") {
		shape = append(shape, s.integer())
		if len(shape) > maxDims {
			s.fail("has a shape of more than %d dimensions", maxDims)
		}
		if !s.take(",") {
			s.want(")")
			break
		}
	}
	return shape
}

func (s *literal) integer() int {
	s.take("")
	i := 0
	for i < len(s.rest) && '0' <= s.rest[i] && s.rest[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s.rest[:i], 10, 64)
	if err != nil || n > math.MaxInt {
		s.fail("lacks a dimension at %.20q", s.rest)
		return 0
	}
	s.rest = strings.TrimPrefix(s.rest[i:], "L") // Python 2 marked long integers
	return int(n)
}

// dtype reads a type description: byte order, kind, bytes an element.
func (s *literal) dtype() dtype {
	if s.take("[") {
		s.fail("describes records; save each column as an array of its own")
		return dtype{}
	}
	descr := s.str()
	if s.err != nil {
		return dtype{}
	}
	d, ok := parseDtype(descr)
	if !ok {
		s.fail("has the type %q; read are f2, f4, f8, i1 to i8, u1 to u8 and b1", descr)
	}
	return d
}

// dtype is the type of an element.
type dtype struct {
	kind byte // 'f', 'i', 'u', 'b'
	size int  // bytes
	big  bool // most significant byte first
}

func (d dtype) float() bool { return d.kind == 'f' }

func parseDtype(descr string) (dtype, bool) {
	if len(descr) != 3 || !strings.Contains("<>|=", descr[:1]) {
		return dtype{}, false
	}
	d := dtype{kind: descr[1], size: int(descr[2] - '0'), big: descr[0] == '>'}
	switch descr[1:] {
	case "b1", "i1", "u1":
		return d, true
	case "f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8":
		return d, descr[0] != '|'
	}
	return dtype{}, false
}
