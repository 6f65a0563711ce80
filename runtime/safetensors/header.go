package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

const (
	metadataKey = "__metadata__"
	// maxHeader is the format's own limit.
	maxHeader = 100_000_000
	// maxDims is far above what any tensor has, and keeps a hostile shape short.
	maxDims = 64
)

// entry is what the header says of one tensor. Offsets count from the end of
// the header.
type entry struct {
	name       string
	dtype      string
	shape      []int
	begin, end int
	at         int // where the entry stands in the file, for messages
}

// scanner reads the JSON header. The general decoder of encoding/json is not
// used for it, because it takes the last of two equal keys without a word.
// Positions are offsets into the file.
type scanner struct {
	b   []byte // the file up to the end of the header
	pos int
}

func (s *scanner) space() {
	for s.pos < len(s.b) {
		switch s.b[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.b) {
		return s.b[s.pos]
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return s.unexpected(strconv.QuoteRune(rune(c)))
	}
	s.pos++
	return nil
}

func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.b) {
		return errorAt(s.pos, "the header ends where %s belongs", want)
	}
	return errorAt(s.pos, "the header has %q where %s belongs", s.b[s.pos], want)
}

// list reads the items between two brackets, separated by commas.
func (s *scanner) list(open, closing byte, item func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.peek() == closing {
		s.pos++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.peek() == ',' {
			s.pos++
			continue
		}
		return s.expect(closing)
	}
}

// object reads an object. It calls field with each key, when its value is to
// be read, and refuses a key that comes twice.
func (s *scanner) object(field func(key string, at int) error) error {
	seen := map[string]bool{}
	return s.list('{', '}', func() error {
		s.space()
		at := s.pos
		key, err := s.string()
		if err != nil {
			return err
		}
		if seen[key] {
			return errorAt(at, "the key %s is there twice", clip(key))
		}
		seen[key] = true
		if err := s.expect(':'); err != nil {
			return err
		}
		return field(key, at)
	})
}

func (s *scanner) string() (string, error) {
	if s.peek() != '"' {
		return "", s.unexpected("a string")
	}
	start := s.pos
	for s.pos++; s.pos < len(s.b); s.pos++ {
		switch s.b[s.pos] {
		case '\\':
			s.pos++
		case '"':
			s.pos++
			raw := s.b[start:s.pos]
			if bytes.IndexByte(raw, '\\') < 0 && !hasControl(raw) {
				return string(raw[1 : len(raw)-1]), nil
			}
			var v string
			if err := json.Unmarshal(raw, &v); err != nil {
				return "", errorAt(start, "a string in the header is not JSON: %v", err)
			}
			return v, nil
		}
	}
	return "", errorAt(start, "a string in the header has no end")
}

func hasControl(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r < ' ' }) >= 0
}

// integer reads a whole number from 0 to the largest int.
func (s *scanner) integer() (int, error) {
	s.space()
	start := s.pos
	n := 0
	for ; s.pos < len(s.b) && '0' <= s.b[s.pos] && s.b[s.pos] <= '9'; s.pos++ {
		d := int(s.b[s.pos] - '0')
		if n > (math.MaxInt-d)/10 {
			return 0, errorAt(start, "a number in the header is too large")
		}
		n = 10*n + d
	}
	if s.pos == start {
		return 0, s.unexpected("a whole number that is not negative")
	}
	if s.b[start] == '0' && s.pos > start+1 {
		return 0, errorAt(start, "a number in the header starts with 0")
	}
	return n, nil
}

func (s *scanner) integers(most int) ([]int, error) {
	list := []int{}
	err := s.list('[', ']', func() error {
		n, err := s.integer()
		if err != nil {
			return err
		}
		if len(list) == most {
			return errorAt(s.pos, "a list in the header has more than %d numbers", most)
		}
		list = append(list, n)
		return nil
	})
	return list, err
}

// header reads the whole header.
func (s *scanner) header() (entries []entry, metadata map[string]string, err error) {
	err = s.object(func(key string, at int) error {
		if key == metadataKey {
			metadata = map[string]string{}
			return s.object(func(key string, _ int) error {
				v, err := s.string()
				metadata[key] = v
				return err
			})
		}
		e, err := s.entry()
		e.name, e.at = key, at
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if s.space(); s.pos < len(s.b) {
		return nil, nil, s.unexpected("the end")
	}
	return entries, metadata, nil
}

func (s *scanner) entry() (entry, error) {
	var e entry
	var offsets []int
	s.space()
	at := s.pos
	err := s.object(func(key string, keyAt int) (err error) {
		switch key {
		case "dtype":
			e.dtype, err = s.string()
		case "shape":
			e.shape, err = s.integers(maxDims)
		case "data_offsets":
			offsets, err = s.integers(2)
		default:
			err = errorAt(keyAt, "a tensor has the unknown key %s", clip(key))
		}
		return err
	})
	if err != nil {
		return e, err
	}
	if e.dtype == "" || e.shape == nil || len(offsets) != 2 {
		return e, errorAt(at, "a tensor lacks its dtype, its shape or its two data_offsets")
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}

// clip quotes a name from a file for a message, and keeps it short.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
	}
	return strconv.Quote(s)
}
