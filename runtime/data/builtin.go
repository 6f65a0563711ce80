package data

import (
	"embed"
	"strings"
)

// Builtin describes one built-in data set.
type Builtin struct {
	Name    string // "digits/train"
	Doc     string
	Source  string
	Licence string
	Target  string // the target column, where it is not the last one
}

// builtin is a built-in data set: a file or a function that computes it, and
// the rows that belong to its parts.
type builtin struct {
	Builtin
	file   string
	labels []string
	make   func() *Table
}

//go:embed builtin/*.csv.gz
var builtinFiles embed.FS

const (
	bsd3     = "BSD-3-Clause"
	computed = "computed by this package"
)

var builtins = []builtin{
	{
		Builtin: Builtin{
			Name:    "digits",
			Doc:     "handwritten digits of 8×8 pixels from 0 to 16, 10 classes; columns 0 to 63, the class in column 64",
			Source:  "UCI optical recognition of handwritten digits (its test half), as scikit-learn packages it",
			Licence: bsd3,
		},
		file: "digits.csv.gz",
	},
	{
		Builtin: Builtin{
			Name:    "breast_cancer",
			Doc:     "30 measurements of cell nuclei, diagnosis 0 (malignant) or 1 (benign)",
			Source:  "UCI Breast Cancer Wisconsin (Diagnostic), as scikit-learn packages it",
			Licence: bsd3,
		},
		file:   "breast_cancer.csv.gz",
		labels: []string{"malignant", "benign"},
	},
	{
		Builtin: Builtin{
			Name:    "penguins",
			Doc:     "penguins of the Palmer Archipelago, 3 species; two more columns of text, island and sex, and 19 missing values",
			Source:  "palmerpenguins, from Gorman, Williams and Fraser 2014",
			Licence: "CC0-1.0",
			Target:  "species",
		},
		file: "penguins.csv.gz",
	},
	{
		Builtin: Builtin{
			Name:    "concrete",
			Doc:     "8 components and the age of concrete, and its compressive strength in MPa",
			Source:  "Yeh 1998, as the R package modeldata has it",
			Licence: "MIT",
		},
		file: "concrete.csv.gz",
	},
	generated("sine", "sin x and noise of deviation 0.05, x from −π to π: regression", sine),
	generated("positive", "(x²+|noise|)/4 + 0.05, x from −3 to 3: regression with positive targets", positive),
	generated("xor", "the corners of a square with noise of deviation 0.1, y their exclusive or, 0 or 1", xor),
	generated("two_moons", "two interleaved half circles with noise of deviation 0.1, y 0 or 1", twoMoons),
	generated("spirals", "three spirals in the plane, classes 0 to 2", spirals),
}

func generated(name, doc string, make func() *Table) builtin {
	return builtin{
		Builtin: Builtin{Name: name, Doc: doc, Source: computed, Licence: "none needed"},
		make:    make,
	}
}

// builtinPrefix begins the sources that are built in.
const builtinPrefix = "builtin:"

// Parts of a built-in data set. Every fifth row, counted from the fifth, is a
// test row; all others are for training.
const (
	trainPart = "/train"
	testPart  = "/test"
	testEvery = 5
)

// Builtins lists the built-in data sets. Each has three names: that of the
// whole, and those of its parts, such as "digits", "digits/train" and
// "digits/test". Every fifth row of the whole is in the test part.
func Builtins() []Builtin {
	var list []Builtin
	for _, b := range builtins {
		for _, part := range []string{"", trainPart, testPart} {
			one := b.Builtin
			one.Name += part
			list = append(list, one)
		}
	}
	return list
}

func openBuiltin(name string) (*Table, error) {
	set := name
	part := ""
	for _, p := range []string{trainPart, testPart} {
		if s, is := strings.CutSuffix(name, p); is {
			set, part = s, p
		}
	}
	for i := range builtins {
		if builtins[i].Name == set {
			t, err := builtins[i].open()
			if err != nil || part == "" {
				return t, err
			}
			t = t.part(part)
			t.file += part
			return t, nil
		}
	}
	var names []string
	for _, b := range Builtins() {
		names = append(names, b.Name)
	}
	hint := didYouMean(name, names)
	if hint == "" {
		hint = "there are " + builtinNames() + ", each also with /train and /test"
	}
	return nil, &Error{File: builtinPrefix + name, Msg: "there is no such built-in data", Hint: hint}
}

func builtinNames() string {
	names := make([]string, len(builtins))
	for i, b := range builtins {
		names[i] = b.Name
	}
	return strings.Join(names, ", ")
}

func (b *builtin) open() (*Table, error) {
	t, err := b.load()
	if err != nil {
		return nil, err
	}
	t.usual, t.labels = b.Target, b.labels
	return t, nil
}

func (b *builtin) load() (*Table, error) {
	name := builtinPrefix + b.Name
	if b.make != nil {
		t := b.make()
		t.file = name
		t.x.(*numeric[float32]).file = name
		return t, nil
	}
	r, err := builtinFiles.Open("builtin/" + b.file)
	if err != nil {
		return nil, err
	}
	f := newFile(name, r)
	defer f.close()
	return readText(f)
}

// part chooses the training or the test rows.
func (t *Table) part(name string) *Table {
	var rows []int32
	for i := range t.Rows() {
		if isTest := i%testEvery == testEvery-1; isTest == (name == testPart) {
			rows = append(rows, int32(i))
		}
	}
	return t.choose(rows)
}
