package data_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
)

func TestSourcesThatAreNot(t *testing.T) {
	const formats = "; hint: sources are builtin:NAME, .csv, .csv.gz, .npz, .npy and two IDX files IMAGES,LABELS"
	o := data.Options{FS: disk(t, map[string]string{"train.csv": "a,y\n1,2\n", "digits.npz": ""})}
	for src, want := range map[string]string{
		"":                           `: the name does not tell what the source is` + formats,
		"train":                      `train: the name does not tell what the source is` + formats,
		"train.txt":                  `train.txt: the name does not tell what the source is` + formats,
		"train.csv.bz2":              `train.csv.bz2: the name does not tell what the source is` + formats,
		"Train.Parquet":              `Train.Parquet: this version does not read Parquet; hint: export the table as CSV or .npz`,
		"trian.csv":                  `trian.csv: there is no such file; hint: did you mean "train.csv"?`,
		"other/x.csv":                `other/x.csv: there is no such file`,
		"test.npz":                   `test.npz: there is no such file`,
		"a,b.csv":                    `a,b.csv: there is no such file`,
		"images.idx,labels.idx":      `images.idx: there is no such file`,
		"train.csv?label=z":          `train.csv:1:1: there is no column "z" for the target; hint: the columns are "a", "y"`,
		"train.csv?":                 `train.csv: after the ? stands ""; hint: write train.csv?label=COLUMN`,
		"train.csv?label=":           `train.csv: after the ? stands "label="; hint: write train.csv?label=COLUMN`,
		"train.csv?target=y":         `train.csv: after the ? stands "target=y"; hint: write train.csv?label=COLUMN`,
		"digits.npz?label=y":         `digits.npz: ?label= chooses a column of CSV; hint: other sources keep their targets apart`,
		"-":                          `-: standard input is no source here`,
		"builtin:digit":              `builtin:digit: there is no such built-in data; hint: did you mean "digits"?`,
		"builtin:digits/tset":        `builtin:digits/tset: there is no such built-in data; hint: did you mean "digits/test"?`,
		"builtin:digits/train/train": `builtin:digits/train/train: there is no such built-in data; hint: there are digits, breast_cancer, penguins, concrete, sine, positive, xor, two_moons, spirals, each also with /train and /test`,
		"builtin:":                   `builtin:: there is no such built-in data; hint: there are digits, breast_cancer, penguins, concrete, sine, positive, xor, two_moons, spirals, each also with /train and /test`,
	} {
		_, err := data.Open(src, o)
		wantError(t, src, err, want)
	}
}

// A path is tried from the working directory first, and then from Dir.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"here.csv": "1,2\n", "spec/here.csv": "3,4\n", "spec/there.csv": "5,6\n"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	o := data.Options{Dir: "spec"}
	for src, want := range map[string]float32{"here.csv": 1, "there.csv": 5, "spec/here.csv": 3, filepath.Join(dir, "here.csv"): 1} {
		table, err := data.Open(src, o)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if s := prepared(t, table, regression(1, 1, engine.Data{})); s.X[0] != want || table.Source() != src {
			t.Errorf("%s: the row of %v was read as %s", src, s.X[0], table.Source())
		}
	}
	_, err := data.Open("theer.csv", o)
	wantError(t, "in Dir", err, `theer.csv: there is no such file; hint: did you mean "there.csv"?`)
	_, err = data.Open("far_away.csv", o)
	wantError(t, "nowhere", err, `far_away.csv: there is no such file; hint: paths are tried from the working directory and from spec`)
	_, err = data.Open("spec.csv", data.Options{Dir: filepath.Join(dir, "here.csv")})
	var e *data.Error
	if !errors.As(err, &e) {
		t.Errorf("Dir is a file: %v", err)
	}
	if err := os.Mkdir("dir.csv", 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = data.Open("dir.csv", data.Options{})
	wantError(t, "directory", err, `dir.csv: cannot be read: is a directory`)
	_, err = data.Open("train.csv", data.Options{FS: faultfs.Wrap(faultfs.NewDisk(), faultfs.Fault{At: 1, Err: syscall.EACCES})})
	wantError(t, "no permission", err, `train.csv: cannot be opened: permission denied`)
}

// The column that holds the target: the source's own word goes first, then the
// caller's, then the spec's.
func TestTargetColumn(t *testing.T) {
	files := disk(t, map[string]string{"t.csv": "a,b,c\n1,2,3\n"})
	for _, c := range []struct {
		src, option, spec string
		want              float32
	}{
		{"t.csv", "", "", 3},
		{"t.csv", "", "a", 1},
		{"t.csv", "b", "a", 2},
		{"t.csv?label=c", "b", "a", 3},
		{"t.csv?label=0", "b", "c", 1},
	} {
		table, err := data.Open(c.src, data.Options{FS: files, Target: c.option})
		if err != nil {
			t.Fatal(err)
		}
		s := prepared(t, table, regression(2, 1, engine.Data{Target: c.spec}))
		if s.Target.Value[0] != c.want {
			t.Errorf("%+v: the target is %v", c, s.Target.Value)
		}
	}
}

// broken fails in the midst of reading.
type broken struct{ r *strings.Reader }

func (b broken) Read(p []byte) (int, error) {
	if b.r.Len() == 0 {
		return 0, &fs.PathError{Op: "read", Path: "pipe", Err: syscall.EIO}
	}
	return b.r.Read(p)
}

func TestReadErrors(t *testing.T) {
	_, err := data.Open("-", data.Options{Stdin: broken{strings.NewReader("a,y\n1,2\n")}})
	wantError(t, "CSV", err, `-: cannot be read: input/output error`)
	packed := zipped(t, "a,y\n1,2\n")
	_, err = data.Open("-", data.Options{Stdin: broken{strings.NewReader(packed[:15])}})
	wantError(t, "gzip", err, `-: cannot be read: input/output error`)
}

func TestShare(t *testing.T) {
	for s, want := range map[string]float64{"20%": 0.2, "0.5%": 0.005, "12.5 %": 0.125} {
		if got, ok := data.Share(s); !ok || got != want {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "20", "%", "0%", "100%", "-5%", "x%", "inf%", "nan%", "20%%", "test.csv"} {
		if got, ok := data.Share(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
}

var _ fsys.FS = (*faultfs.Disk)(nil)
