package spec

import "path/filepath"

// Options are what a caller adds to the text.
type Options struct {
	// Infer returns the number of features of the data, where the spec leaves
	// `input` out and it does not follow from the columns; a share for tests is
	// split off by the seed. nil: that is an error.
	// An error may tell its hint apart from the rest, by a method
	// Split() (what, hint string). It wraps fs.ErrNotExist where the data is not here.
	Infer func(d Data, seed uint64) (inputs int, err error)
	// Count counts in the training rows what the network is then compared with;
	// it is asked once the spec is valid otherwise. An error is as that of Infer, and a
	// warning where it wraps fs.ErrNotExist. nil: the data is not read.
	Count func(d Data, seed uint64) (Counts, error)
	// Fit tells why the network cannot be trained on these rows, such as a target
	// that the loss does not take; it is asked where all counts agree. nil: nobody
	// looks.
	Fit func(n *Network) error
}

// Counts is what the training rows tell; 0 stands for what they do not.
type Counts struct {
	Inputs  int // that a prepared row makes
	Classes int // of their targets, where these are class labels
	Targets int // of each row
}

// Parse reads a spec. file is the name that messages bear. Where the spec is
// valid, Parse returns the network and what may train badly; otherwise the
// error is of type Errors.
func Parse(file string, text []byte, o Options) (*Network, []*Problem, error) {
	r := newReader(file)

	// Read the text.
	clean, ok := r.clean(text)
	if !ok {
		return nil, nil, r.errors()
	}
	r.net.Text = clean

	// Read the YAML.
	root := r.tree(clean)
	if root == nil {
		return nil, nil, r.errors()
	}

	// Read the sections, by the grammar, which fills defaults.
	if r.section("", grammar(), root); root.kind != mapping {
		return nil, nil, r.errors()
	}

	// Work out the shapes.
	r.checkColumns()
	r.inferInput(root, o)
	r.shapes()

	// Check what belongs together.
	r.checkOutputs()
	if err := r.errors(); err != nil {
		return nil, nil, err
	}
	r.checkData(o)
	if err := r.errors(); err != nil {
		return nil, nil, err
	}
	r.warn()
	return r.net, r.warnings(), nil
}

// reader holds what is known while one spec is read.
type reader struct {
	file     string
	lines    []string
	chars    map[int][]rune // lines as characters, from 1, as they are needed
	problems []*Problem
	net      *Network
	at       map[string]*node // the value of each key that the spec gives: "train.batch"
	layers   []*node          // the items of net.Layers
	// meant holds the keys that unknown ones probably are; the path of the section
	// alone, "" or "data.", stands for one that is like no other.
	meant map[string]bool
}

func newReader(file string) *reader {
	return &reader{
		file: file, chars: map[int][]rune{}, at: map[string]*node{}, meant: map[string]bool{},
		net: &Network{File: filepath.Base(file)},
	}
}

// where returns the span of a key's value, or of the first of the others
// given, where the spec leaves the key out.
func (r *reader) where(keys ...string) span {
	for _, k := range keys {
		if n := r.at[k]; n != nil {
			return n.at
		}
	}
	return span{1, 1, 2}
}
