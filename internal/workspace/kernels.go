package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// withoutCUDA is the build tag that leaves out the binding to the CUDA driver:
// the trainer is then a static program.
const withoutCUDA = "nogpu"

// imagesDir keeps compiled kernels, by what they were made from.
const imagesDir = "images"

// tags returns the build tags of a job, and why they are others than it asks for.
func (job Job) tags() (tags []string, why string) {
	tags = strings.FieldsFunc(job.Tags, func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(tags, withoutCUDA) || job.goos() != "linux" {
		return tags, ""
	}
	// The binding needs glibc, as NVIDIA's driver does: without it, the program
	// would not even start.
	loader, known := loaders[job.goarch()]
	if known && job.goos() == runtime.GOOS && job.goarch() == runtime.GOARCH {
		if _, err := os.Stat(loader); err != nil {
			return append(tags, withoutCUDA), "this system has no glibc, which NVIDIA's driver needs"
		}
	}
	return tags, ""
}

// loaders start programs that are linked with glibc.
var loaders = map[string]string{"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}

func (job Job) goos() string   { return job.target("GOOS", runtime.GOOS) }
func (job Job) goarch() string { return job.target("GOARCH", runtime.GOARCH) }

func (job Job) target(name, host string) string {
	if set := os.Getenv(name); set != "" && !job.Host {
		return set
	}
	return host
}

// runsCUDA reports whether the trainer of a job can have CUDA at all.
func (job Job) runsCUDA(tags []string) bool {
	return job.goos() == "linux" && (job.goarch() == "amd64" || job.goarch() == "arm64") && !slices.Contains(tags, withoutCUDA)
}

// images puts beside each CUDA source of the emitted package what this machine
// can compile it to, in a folder for each precision but engine.FP32, and takes
// away what was there before. Where nothing can be compiled, the source is all
// that is embedded, and the trainer compiles it with NVRTC where it runs; a build
// does not fail for that.
func (w *Workspace) images(ctx context.Context, job Job, tags []string) error {
	for _, f := range job.Files {
		if path.Ext(f.Path) != ".cu" {
			continue
		}
		made := make([]compiled, max(1, len(job.Precisions)))
		if job.runsCUDA(tags) && !job.Source {
			if err := w.compileAll(ctx, job, f, made); err != nil {
				return err
			}
		}
		dir := path.Join(strings.TrimPrefix(job.ImportPath, Module+"/"), path.Dir(f.Path))
		for i, m := range made {
			if err := w.place(path.Join(dir, job.folder(i)), strings.TrimSuffix(path.Base(f.Path), ".cu"), m.files); err != nil {
				return err
			}
		}
	}
	return nil
}

// GPU reports whether this machine seems to have a GPU that CUDA knows: whether
// devices of NVIDIA's drivers are there, or that of the Windows below Linux. root
// is that of the files.
func GPU(root string) bool {
	for _, pattern := range []string{"nvidia*", "nvgpu*", "nvhost*", "dxg"} {
		if found, _ := filepath.Glob(filepath.Join(root, "dev", pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// folder is where images in precision i lie, beside the source.
func (job Job) folder(i int) string {
	if engine.Define(job.precision(i)) == "" {
		return ""
	}
	return job.precision(i)
}

func (job Job) precision(i int) string {
	if i < len(job.Precisions) {
		return job.Precisions[i]
	}
	return engine.FP32
}

// compiled are the images of a source in one precision.
type compiled struct {
	files []ir.File
	made  []string // what they are: "sm_80.ptx"
	by    []string
	notes []string
}

// compileAll compiles a source in each precision, and says what came of it.
func (w *Workspace) compileAll(ctx context.Context, job Job, source ir.File, made []compiled) error {
	tools := toolchain.Find(ctx)
	if !tools.Compiles() {
		looked := ""
		if where := os.Getenv(toolchain.Variable); where != "" {
			looked = "; " + toolchain.Variable + " is " + where
		}
		job.tell("cuda: no compiler here (nvcc, or clang 19 or newer%s): the trainer compiles its kernels where it runs, if NVRTC is there", looked)
		return nil
	}
	var all sync.WaitGroup
	errs := make([]error, len(made))
	for i := range made {
		all.Go(func() {
			own := tools
			if i > 0 && job.precision(i) != engine.FP32 {
				own = tools.Portable()
			}
			text := append([]byte(engine.Define(job.precision(i))), source.Content...)
			made[i], errs[i] = w.compiled(ctx, own, ir.File{Path: source.Path, Content: text})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var list []string
	var by []string
	size := 0
	for i, m := range made {
		for _, note := range m.notes {
			job.say("cuda: not made in %s: %s", job.precision(i), note)
		}
		for _, f := range m.files {
			size += len(f.Content)
		}
		if len(m.files) > 0 {
			list = append(list, job.precision(i)+" ("+strings.Join(m.made, " ")+")")
		}
		for _, tool := range m.by {
			if !slices.Contains(by, tool) {
				by = append(by, tool)
			}
		}
	}
	if len(list) == 0 {
		job.say("cuda: the trainer compiles its kernels where it runs, if NVRTC is there")
		return nil
	}
	job.tell("cuda: %s, %d KB, made by %s", strings.Join(list, ", "), (size+999)/1000, strings.Join(by, ", "))
	return nil
}

// compiled returns the images of a source, from the cache where they are there.
func (w *Workspace) compiled(ctx context.Context, tools *toolchain.Toolchain, source ir.File) (c compiled, err error) {
	name := strings.TrimSuffix(path.Base(source.Path), ".cu")
	dir := path.Join(imagesDir, tools.Key(name, source.Content))
	c, ok := w.cached(dir)
	if !ok {
		r, err := tools.Compile(ctx, name, source.Content)
		if err != nil {
			return c, fmt.Errorf("compile the kernels: %w", err)
		}
		c = compiled{by: r.Used, notes: r.Notes}
		for _, f := range r.Files {
			c.files = append(c.files, ir.File{Path: f.Name, Content: f.Content})
		}
		// What failed is tried again the next time.
		if len(r.Notes) == 0 && len(r.Files) > 0 {
			for _, f := range append(slices.Clone(c.files), ir.File{Path: completeMark, Content: []byte(strings.Join(c.by, "\n"))}) {
				if err := write(w.Dir, ir.File{Path: path.Join(dir, f.Path), Content: f.Content}); err != nil {
					return c, fmt.Errorf("keep the compiled kernels: %w", err)
				}
			}
		}
	}
	for _, f := range c.files {
		c.made = append(c.made, strings.TrimSuffix(strings.TrimPrefix(f.Path, name+"."), ".gz"))
	}
	return c, nil
}

// cached reads images that were kept, and what made them.
func (w *Workspace) cached(dir string) (c compiled, ok bool) {
	full := filepath.Join(w.Dir, filepath.FromSlash(dir))
	mark, err := os.ReadFile(filepath.Join(full, completeMark))
	if err != nil {
		return c, false
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return c, false
	}
	for _, e := range entries {
		if e.Name() == completeMark {
			continue
		}
		content, err := os.ReadFile(filepath.Join(full, e.Name()))
		if err != nil {
			return compiled{}, false
		}
		c.files = append(c.files, ir.File{Path: e.Name(), Content: content})
	}
	now := time.Now()
	_ = os.Chtimes(full, now, now) // it is in use: see Trim
	c.by = strings.Split(string(mark), "\n")
	return c, len(c.files) > 0
}

// place writes images beside their source, and removes others of its name that
// an earlier build left there.
func (w *Workspace) place(dir, name string, images []ir.File) error {
	full := filepath.Join(w.Dir, filepath.FromSlash(dir))
	old, err := os.ReadDir(full)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, o := range old {
		if !strings.HasPrefix(o.Name(), name+".sm_") || slices.ContainsFunc(images, func(f ir.File) bool { return f.Path == o.Name() }) {
			continue
		}
		if err := fsys.OS().Remove(filepath.Join(full, o.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(images) == 0 && len(old) > 0 {
		_ = fsys.OS().Remove(full) // a precision's folder, if it is empty now
	}
	for _, f := range images {
		if err := write(w.Dir, ir.File{Path: path.Join(dir, f.Path), Content: f.Content}); err != nil {
			return err
		}
	}
	return nil
}

// tell says what is as it should be.
func (job Job) tell(format string, args ...any) {
	if !job.Quiet {
		job.say(format, args...)
	}
}

// say writes a line to the log.
func (job Job) say(format string, args ...any) {
	if job.Log != nil {
		fmt.Fprintf(job.Log, format+"\n", args...)
	}
}
