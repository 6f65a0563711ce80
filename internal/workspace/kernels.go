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
	"time"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/internal/ir"
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
// can compile it to, and takes away what was there before. Where nothing can be
// compiled, the source is all that is embedded, and the trainer compiles it with
// NVRTC where it runs; a build does not fail for that.
func (w *Workspace) images(ctx context.Context, job Job, tags []string) error {
	relative := strings.TrimPrefix(job.ImportPath, Module+"/")
	var tools *toolchain.Toolchain
	for _, f := range job.Files {
		if path.Ext(f.Path) != ".cu" {
			continue
		}
		var made []ir.File
		if job.runsCUDA(tags) {
			if tools == nil {
				tools = toolchain.Find(ctx)
			}
			var err error
			if made, err = w.compiled(ctx, job, tools, f); err != nil {
				return err
			}
		}
		if err := w.place(path.Join(relative, path.Dir(f.Path)), strings.TrimSuffix(path.Base(f.Path), ".cu"), made); err != nil {
			return err
		}
	}
	return nil
}

// compiled returns the images of a source, from the cache where they are there.
func (w *Workspace) compiled(ctx context.Context, job Job, tools *toolchain.Toolchain, source ir.File) ([]ir.File, error) {
	if !tools.Compiles() {
		job.tell("cuda: no compiler here (nvcc, or clang 19 or newer): the trainer compiles its kernels where it runs, if NVRTC is there")
		return nil, nil
	}
	name := strings.TrimSuffix(path.Base(source.Path), ".cu")
	dir := path.Join(imagesDir, tools.Key(name, source.Content))
	if files, used, ok := w.cached(dir); ok {
		job.tell("%s", used)
		return files, nil
	}
	r, err := tools.Compile(ctx, name, source.Content)
	if err != nil {
		return nil, fmt.Errorf("compile the kernels: %w", err)
	}
	for _, note := range r.Notes {
		job.say("cuda: not made: %s", note)
	}
	if len(r.Files) == 0 {
		job.say("cuda: the trainer compiles its kernels where it runs, if NVRTC is there")
		return nil, nil
	}
	var files []ir.File
	var list []string
	for _, f := range r.Files {
		files = append(files, ir.File{Path: f.Name, Content: f.Content})
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(f.Name, name+"."), ".gz"))
	}
	used := fmt.Sprintf("cuda: %s, made by %s", strings.Join(list, " "), strings.Join(r.Used, ", "))
	job.tell("%s", used)
	if len(r.Notes) > 0 {
		return files, nil // what failed is tried again the next time
	}
	for _, f := range append(files, ir.File{Path: completeMark, Content: []byte(used)}) {
		if err := write(w.Dir, ir.File{Path: path.Join(dir, f.Path), Content: f.Content}); err != nil {
			return nil, fmt.Errorf("keep the compiled kernels: %w", err)
		}
	}
	return files, nil
}

// cached reads images that were kept, and what was said of them.
func (w *Workspace) cached(dir string) (files []ir.File, used string, ok bool) {
	full := filepath.Join(w.Dir, filepath.FromSlash(dir))
	mark, err := os.ReadFile(filepath.Join(full, completeMark))
	if err != nil {
		return nil, "", false
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return nil, "", false
	}
	for _, e := range entries {
		if e.Name() == completeMark {
			continue
		}
		content, err := os.ReadFile(filepath.Join(full, e.Name()))
		if err != nil {
			return nil, "", false
		}
		files = append(files, ir.File{Path: e.Name(), Content: content})
	}
	now := time.Now()
	_ = os.Chtimes(full, now, now) // it is in use: see Trim
	return files, string(mark), len(files) > 0
}

// place writes images beside their source, and removes others of its name that
// an earlier build left there.
func (w *Workspace) place(dir, name string, images []ir.File) error {
	full := filepath.Join(w.Dir, filepath.FromSlash(dir))
	old, err := os.ReadDir(full)
	if err != nil {
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
