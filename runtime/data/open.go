package data

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// formats are the files that are read, by the end of their name.
var formats = []struct {
	suffix string
	read   func(*file) (*Table, error)
}{
	{".csv", readText},
	{".csv.gz", readText},
	{".npz", readNPZ},
	{".npy", readNPY},
}

// Open reads a source. Errors that are the source's fault are of type *Error.
func Open(src string, o Options) (*Table, error) {
	if o.FS == nil {
		o.FS = fsys.OS()
	}
	t, err := open(src, o)
	if err != nil {
		return nil, err
	}
	if t.target == "" {
		t.target = o.Target
	}
	return t, nil
}

func open(src string, o Options) (*Table, error) {
	if name, is := strings.CutPrefix(src, builtinPrefix); is {
		return openBuiltin(name)
	}
	if src == "-" {
		return readStdin(o.Stdin)
	}
	path, label, err := cutLabel(src)
	if err != nil {
		return nil, err
	}
	read := formatOf(path)
	if images, labels, is := strings.Cut(path, ","); is && read == nil {
		return openIDX(images, labels, o)
	}
	if read == nil && isIDXName(path) {
		read = readImages
	}
	if read == nil {
		return nil, unknownFormat(path)
	}
	f, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	t, err := read(f)
	if err != nil {
		return nil, err
	}
	if label == "" {
		return t, nil
	}
	if t.target = label; t.find(label) < 0 {
		return nil, t.noColumn("target", label)
	}
	return t, nil
}

// formatOf chooses how a file is read by the end of its name; nil means that the
// end is unknown.
func formatOf(path string) func(*file) (*Table, error) {
	name := strings.ToLower(path)
	for _, f := range formats {
		if strings.HasSuffix(name, f.suffix) {
			return f.read
		}
	}
	return nil
}

func unknownFormat(path string) *Error {
	if strings.HasSuffix(strings.ToLower(path), ".parquet") {
		return &Error{File: path, Msg: "this version does not read Parquet", Hint: "export the table as CSV or .npz"}
	}
	var suffixes []string
	for _, f := range formats {
		suffixes = append(suffixes, f.suffix)
	}
	return &Error{File: path, Msg: "the name does not tell what the source is",
		Hint: "sources are builtin:NAME, " + strings.Join(suffixes, ", ") + " and two IDX files IMAGES,LABELS"}
}

// isIDXName tells whether a file has a name as the files of MNIST have:
// train-images-idx3-ubyte.gz.
func isIDXName(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.Contains(name, "idx") || strings.Contains(name, "ubyte")
}

// cutLabel takes the column off a source such as "iris.csv?label=species".
func cutLabel(src string) (path, label string, err error) {
	path, query, found := strings.Cut(src, "?")
	if !found {
		return src, "", nil
	}
	label, is := strings.CutPrefix(query, "label=")
	if !is || label == "" {
		return "", "", &Error{File: path, Msg: "after the ? stands " + clip(query), Hint: "write " + path + "?label=COLUMN"}
	}
	if !strings.Contains(strings.ToLower(path), ".csv") {
		return "", "", &Error{File: path, Msg: "?label= chooses a column of CSV",
			Hint: "other sources keep their targets apart"}
	}
	return path, label, nil
}

// openFile opens a file for reading: as its path says from the working
// directory, or else from o.Dir.
func openFile(path string, o Options) (*file, error) {
	r, err := o.FS.Open(path)
	tried := path
	if errors.Is(err, fs.ErrNotExist) && o.Dir != "" && !filepath.IsAbs(path) {
		tried = filepath.Join(o.Dir, path)
		if r2, err2 := o.FS.Open(tried); err2 == nil || !errors.Is(err2, fs.ErrNotExist) {
			r, err = r2, err2
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, Msg: "there is no such file", Hint: missingFileHint(path, tried, o), cause: fs.ErrNotExist}
	}
	if err != nil {
		return nil, &Error{File: path, Msg: "cannot be opened: " + cause(err)}
	}
	return newFile(path, r), nil
}

// missingFileHint names a file that is spelled alike, or where was looked.
func missingFileHint(path, tried string, o Options) string {
	var names []string
	for _, p := range []string{path, tried} {
		// A directory that cannot be read has no names to offer.
		entries, _ := o.FS.ReadDir(filepath.Dir(p))
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if hint := didYouMean(filepath.Base(path), names); hint != "" {
		return hint
	}
	if tried != path {
		return "paths are tried from the working directory and from " + o.Dir
	}
	return ""
}

// cause is the error below the operation and the path, which the message names
// itself.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
