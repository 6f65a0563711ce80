// Package data gives rows to train on, from any source: it reads tables from
// files, standard input and the built-in data, fits the preparation that a spec
// declares, and applies it.
//
// The way of a row: Open reads a Table, Split may part it, Fit learns a Prep
// from the training rows, and Prep.Apply turns a Table into the Set that a
// network is fed with. Prep.Rows does the same for predictions.
//
// # Sources
//
//   - builtin:NAME: the data sets that Builtins lists.
//   - FILE.csv, FILE.csv.gz and "-" (standard input): text, separated by commas,
//     semicolons or tabs, with or without a header. FILE.csv?label=COLUMN names
//     the target column, by name or by number from 0.
//   - FILE.npz: x [rows, inputs] and y: whole numbers [rows] for classes, other
//     numbers [rows] or [rows, outputs]. FILE.npy: x alone.
//   - IMAGES,LABELS: two IDX files, packed by gzip or not. One alone gives x.
//
// In text, the target is the last column where nobody names it. A cell that is
// empty, NA, NaN, null or ? is missing.
package data

import (
	"fmt"
	"io"
	"strings"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Error is what is wrong with a source: where, what, and what may help. Line
// and Col count from 1; 0 means that the source has no lines, or that the
// trouble is with the whole of it. Col counts characters.
type Error struct {
	File      string
	Line, Col int
	Msg, Hint string

	cause error // fs.ErrNotExist where there is no such file, or no standard input
}

func (e *Error) Error() string {
	what, hint := e.Split()
	if hint != "" {
		what += "; hint: " + hint
	}
	return what
}

// Unwrap returns fs.ErrNotExist where the source is not there: a file, or standard
// input.
func (e *Error) Unwrap() error { return e.cause }

// Split returns what is wrong and where, and the hint apart from it.
func (e *Error) Split() (what, hint string) {
	var s strings.Builder
	s.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&s, ":%d:%d", e.Line, e.Col)
	}
	s.WriteString(": ")
	s.WriteString(e.Msg)
	return s.String(), e.Hint
}

// Options tell Open where to look.
type Options struct {
	Dir    string    // relative paths are tried from the working directory, then from Dir
	Target string    // column that holds the target; a source's own ?label= goes first
	FS     fsys.FS   // nil: that of the machine
	Stdin  io.Reader // what "-" reads; nil: "-" is an error
}
