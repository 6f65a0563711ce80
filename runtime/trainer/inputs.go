package trainer

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// open reads a data source. A file that the spec names need not be where the
// trainer was copied to.
func (a *app) open(src string) (*data.Table, error) {
	table, err := data.Open(src, data.Options{
		Dir: a.env(dataVariable), Target: a.net.Data.Target, FS: a.fs, Stdin: a.stdin,
	})
	var e *data.Error
	if errors.As(err, &e) && errors.Is(err, fs.ErrNotExist) && e.Hint == "" && (src == a.net.Data.Train || src == a.net.Data.Test) {
		e.Hint = "the spec names it; name others by an option (--train, --test, --data), or its directory by " + dataVariable
	}
	return table, err
}

// rows are the prepared rows of a training. Test is nil where there are none.
type rows struct {
	prep        *data.Prep
	train, test *data.Set
	trainName   string
	testName    string
}

// load reads the training rows, and the test rows from a source of their own
// or as a share of the training rows, and fits the preparation on the training
// rows alone.
func (a *app) load(train, test string, seed uint64) (*rows, error) {
	share, isShare := data.Share(test)
	if !isShare && strings.HasSuffix(test, "%") {
		return nil, notShare("--test", test)
	}
	r := &rows{trainName: train, testName: test}
	table, err := a.open(train)
	if err != nil {
		return nil, err
	}
	var testTable *data.Table
	if isShare {
		table, testTable = data.Split(table, share, seed)
	} else if test != "" {
		if testTable, err = a.open(test); err != nil {
			return nil, err
		}
	}
	if r.prep, err = data.Fit(table, a.net); err != nil {
		return nil, err
	}
	if r.train, err = r.prep.Apply(table); err != nil {
		return nil, err
	}
	if testTable != nil {
		r.test, err = r.prep.Apply(testTable)
	}
	return r, err
}

// notShare refuses what ends as a share of the rows, but is none.
func notShare(flag, value string) error {
	return usage("%s %s is no share of the rows: a share is above 0%% and below 100%%, such as 20%%", flag, value)
}

// source identifies a set: its name and the sum of all its prepared numbers.
func source(name string, s *data.Set) rundir.Source {
	if s == nil {
		return rundir.Source{}
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(sum, 64<<10)
	var b []byte
	put := func(v uint32) {
		b = binary.LittleEndian.AppendUint32(b[:0], v)
		_, _ = w.Write(b) // a hash takes everything
	}
	for _, v := range []int{s.Rows, s.Inputs, s.Outputs, len(s.Target.Class)} {
		put(uint32(v))
	}
	for _, values := range [][]float32{s.X, s.Target.Value} {
		for _, v := range values {
			put(math.Float32bits(v))
		}
	}
	for _, c := range s.Target.Class {
		put(uint32(c))
	}
	_ = w.Flush()
	return rundir.Source{Name: name, Rows: s.Rows, Sum: hex.EncodeToString(sum.Sum(nil))}
}
