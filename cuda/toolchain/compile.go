package toolchain

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// arch is an architecture to make machine code for, and what it takes.
type arch struct {
	number int     // 80 for sm_80
	isa    int     // the oldest PTX that knows it: 70 for 7.0
	cuda   Version // the oldest ptxas and nvcc that know it
	clang  Version // the oldest clang
}

// archs are those that get machine code of their own. Code for one runs on the
// later ones of its major version too, and PTX for the first on all that follow.
var archs = []arch{
	{80, 70, Version{11, 0}, Version{19, 0}},
	{86, 71, Version{11, 1}, Version{19, 0}},
	{89, 78, Version{11, 8}, Version{19, 0}},
	{90, 78, Version{11, 8}, Version{19, 0}},
	{100, 86, Version{12, 8}, Version{22, 0}},
	{120, 87, Version{12, 8}, Version{22, 0}},
}

// base is the architecture that gets PTX, as the one image for every device
// from it on and every driver since CUDA 11.
var base = archs[0]

// File is one image, packed by gzip.
type File struct {
	Name    string // as driver.ReadImages wants it: kernels.sm_80.ptx.gz
	Content []byte
}

// Result is what compiling came to.
type Result struct {
	Files []File // none where nothing could be compiled
	// Used names the tools whose work is in Files.
	Used []string
	// Notes say what failed, a line or more each.
	Notes []string
}

// image is how one file is made.
type image struct {
	name  string // without .gz
	steps []step
}

// step is one call of a tool. The arguments "in" and "out" stand for the file of
// the step before, at first the source, and for the file that it writes.
type step struct {
	tool *Tool
	args []string
}

// Compile compiles a source that includes no header of the toolkit to images
// that bear its name. What cannot be compiled is left out and noted: a trainer
// can still compile the source on the machine that it runs on. The error is the
// context's or the disk's.
func (t *Toolchain) Compile(ctx context.Context, name string, source []byte) (*Result, error) {
	dir, err := os.MkdirTemp("", "dnngen-cuda-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	disk, file := fsys.OS(), filepath.Join(dir, name+".cu")
	if err := fsys.WriteAtomic(disk, file, func(w io.Writer) error { _, err := w.Write(source); return err }); err != nil {
		return nil, err
	}
	r := &Result{}
	for _, images := range t.images(name) {
		if err := r.run(ctx, file, images); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// Key tells apart what Compile makes: of another source, by other tools, or
// with other arguments.
func (t *Toolchain) Key(name string, source []byte) string {
	hash := sha256.New()
	for _, images := range t.images(name) {
		for _, i := range images {
			fmt.Fprintf(hash, "%s\n", i.name)
			for _, s := range i.steps {
				fmt.Fprintf(hash, "%v %q\n", s.tool, s.args)
			}
		}
	}
	hash.Write(source)
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// images lists what each compiler can make, the better compiler first.
func (t *Toolchain) images(name string) (list [][]image) {
	if t.Nvcc != nil {
		list = append(list, t.nvccImages(name))
	}
	if t.Clang != nil {
		list = append(list, t.clangImages(name))
	}
	return list
}

// run makes those images of one compiler that are not there yet. Where the first
// fails, the compiler is at fault and the others are not tried.
func (r *Result) run(ctx context.Context, source string, images []image) error {
	var missing []image
	for _, i := range images {
		if !slices.ContainsFunc(r.Files, func(f File) bool { return f.Name == i.name+".gz" }) {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if ok, err := r.add(ctx, source, missing[0]); !ok || err != nil {
		return err
	}
	var all sync.WaitGroup
	parts, errs := make([]Result, len(missing)), make([]error, len(missing))
	slots := make(chan struct{}, max(1, runtime.NumCPU()))
	for i := 1; i < len(missing); i++ {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, errs[i] = parts[i].add(ctx, source, missing[i])
		})
	}
	all.Wait()
	for _, p := range parts {
		r.Files = append(r.Files, p.Files...)
		r.Notes = append(r.Notes, p.Notes...)
		for _, used := range p.Used {
			if !slices.Contains(r.Used, used) {
				r.Used = append(r.Used, used)
			}
		}
	}
	return errors.Join(errs...)
}

// add makes one image; ok tells whether it came to be.
func (r *Result) add(ctx context.Context, source string, i image) (ok bool, err error) {
	out := filepath.Join(filepath.Dir(source), i.name)
	if _, err := i.make(ctx, source, out); err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		r.Notes = append(r.Notes, fmt.Sprintf("%s: %v", i.name, err))
		return false, nil
	}
	content, err := fsys.ReadFile(fsys.OS(), out)
	if err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: nothing was written: %v", i.name, err))
		return false, nil
	}
	packed, err := pack(content)
	if err != nil {
		return false, err
	}
	r.Files = append(r.Files, File{i.name + ".gz", packed})
	for _, s := range i.steps {
		if used := s.tool.String(); !slices.Contains(r.Used, used) {
			r.Used = append(r.Used, used)
		}
	}
	return true, nil
}

// make runs the steps, from a source to a file, and returns what the last of the
// tools said.
func (i image) make(ctx context.Context, source, out string) (said string, err error) {
	in := source
	for n, s := range i.steps {
		to := out
		if n < len(i.steps)-1 {
			to = fmt.Sprintf("%s.%d", out, n)
		}
		args := slices.Clone(s.args)
		for j, a := range args {
			switch a {
			case "in":
				args[j] = in
			case "out":
				args[j] = to
			}
		}
		if said, err = call(ctx, s.tool, args...); err != nil {
			return "", err
		}
		in = to
	}
	return said, nil
}

// nvccImages are what nvcc makes: machine code, and PTX of its own version,
// which older drivers refuse; clang's is better where it is there.
func (t *Toolchain) nvccImages(name string) (list []image) {
	for _, a := range archs {
		// A toolkit drops old architectures; it says so itself.
		if t.Nvcc.Version.atLeast(a.cuda) && !t.portable {
			list = append(list, image{fmt.Sprintf("%s.sm_%d.cubin", name, a.number), []step{{t.Nvcc, []string{"-cubin", fmt.Sprintf("-arch=sm_%d", a.number), "-O3", "-o", "out", "in"}}}})
		}
	}
	if t.Clang == nil {
		list = append(list, image{fmt.Sprintf("%s.sm_%d.ptx", name, base.number), []step{{t.Nvcc, []string{"-ptx", fmt.Sprintf("-arch=compute_%d", base.number), "-O3", "-o", "out", "in"}}}})
	}
	return list
}

// clangImages are what clang makes: PTX, and with ptxas machine code.
func (t *Toolchain) clangImages(name string) (list []image) {
	list = append(list, image{fmt.Sprintf("%s.sm_%d.ptx", name, base.number), []step{t.clangStep(base)}})
	if t.Ptxas == nil || t.portable {
		return list
	}
	for _, a := range archs {
		if !t.Ptxas.Version.atLeast(a.cuda) {
			continue
		}
		// A clang that does not know the architecture compiles for an older one.
		from := base
		for _, older := range archs {
			if older.number <= a.number && t.Clang.Version.atLeast(older.clang) {
				from = older
			}
		}
		assemble := step{t.Ptxas, []string{"-O3", fmt.Sprintf("-arch=sm_%d", a.number), "-o", "out", "in"}}
		list = append(list, image{fmt.Sprintf("%s.sm_%d.cubin", name, a.number), []step{t.clangStep(from), assemble}})
	}
	return list
}

// clangStep compiles to PTX, of the oldest version that knows the architecture:
// so old drivers read it.
func (t *Toolchain) clangStep(a arch) step {
	return step{t.Clang, []string{"-x", "cuda", "--cuda-device-only", fmt.Sprintf("--cuda-gpu-arch=sm_%d", a.number), "-nocudainc", "-nocudalib",
		"-Wno-unknown-cuda-version", "-Xclang", "-target-feature", "-Xclang", fmt.Sprintf("+ptx%d", a.isa), "-S", "-O3", "-o", "out", "in"}}
}

// mostLog is how much of what a compiler says is kept, in bytes.
const mostLog = 4000

// call runs a tool and returns what it said, which is in the error, too.
func call(ctx context.Context, tool *Tool, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool.Path, args...)
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(out))
		if len(said) > mostLog {
			said = said[:mostLog] + " …"
		}
		return "", fmt.Errorf("%v: %w: %s", tool, err, said)
	}
	return string(out), nil
}

// pack compresses; the same bytes give the same bytes.
func pack(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close() // before the bytes are taken: it writes the last of them
	return b.Bytes(), err
}
