package workspace

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// ErrNoGo tells that there is no go command.
var ErrNoGo = errors.New("the go command is not on the PATH; dnngen compiles trainers with it (https://go.dev/dl)")

// ErrUnready tells that the go command cannot build any trainer here: it is too
// old, or cannot get the modules that trainers link.
var ErrUnready = errors.New("the go command cannot build trainers here; see what it says above")

// NotOurs is the error for a file that dnngen does not replace.
type NotOurs struct{ Path, Why string }

func (e *NotOurs) Error() string {
	return fmt.Sprintf("%s %s and is left as it is; move it away, or choose another name with -o", e.Path, e.Why)
}

// Job is one build.
type Job struct {
	ImportPath string // of the emitted package, by ImportPath
	Files      []ir.File
	Out        string // binary to write
	Host       bool   // for this machine, whatever GOOS and GOARCH say
	Tags       string // build tags, separated by commas
	Quiet      bool   // tell what went wrong alone
	// Precisions are those in which CUDA kernels are compiled. The first, which the
	// spec asks for, and engine.FP32 get machine code, where it can be made; the
	// others PTX alone. None stand for engine.FP32.
	Precisions []string
	// Source leaves the CUDA kernels as they are: none are compiled.
	Source bool
	Log    io.Writer // what the go command says
}

// exeSuffix ends the names of programs on this machine.
var exeSuffix = suffixFor(runtime.GOOS)

func suffixFor(goos string) string {
	if goos == "windows" {
		return ".exe"
	}
	return ""
}

// Suffix ends the names of programs on the machine that Build builds for.
func Suffix() string {
	if goos := os.Getenv("GOOS"); goos != "" {
		return suffixFor(goos)
	}
	return exeSuffix
}

// Build compiles the main package of the emitted files. The binary appears
// whole or not at all, also where the build is interrupted; a file that is
// there is replaced only if it is a trainer that dnngen built.
func (w *Workspace) Build(ctx context.Context, job Job) error {
	out, err := filepath.Abs(job.Out)
	if err != nil {
		return err
	}
	// In the cache everything is dnngen's, also what a loss of power has damaged.
	if !strings.HasPrefix(out, w.Dir+string(filepath.Separator)) {
		if err := replaceable(out); err != nil {
			return err
		}
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return ErrNoGo
	}
	main, err := w.emit(job)
	if err != nil {
		return fmt.Errorf("write the trainer's source: %w", err)
	}
	disk := fsys.OS()
	if err := disk.MkdirAll(filepath.Dir(out)); err != nil {
		return err
	}
	// A place that cannot be written to is found before the compilers' work.
	temp := fmt.Sprintf("%s.tmp-%d", out, os.Getpid())
	if err := touch(temp); err != nil {
		return fmt.Errorf("write %s: %w", job.Out, fsys.Reason(err))
	}
	c := compiler{w, goCommand, environment(job.Host)}
	err = c.build(ctx, job, main, temp)
	if err == nil {
		err = disk.Rename(temp, out)
	}
	if err != nil {
		// The first error is the one that tells what is wrong.
		_ = disk.Remove(temp)
		return err
	}
	return nil
}

// touch makes an empty file.
func touch(name string) error {
	f, err := fsys.OS().Create(name)
	if err != nil {
		return err
	}
	return f.Close()
}

// compiler is the go command in a workspace.
type compiler struct {
	*Workspace
	path string
	env  []string
}

// build compiles a package to a file. Where the one module that CUDA needs
// cannot be had, the trainer is built without: it trains on the CPU.
func (c compiler) build(ctx context.Context, job Job, main, out string) error {
	tags, why := job.tags()
	if why != "" {
		job.say("cuda: left out: %s", why)
	}
	if err := c.images(ctx, job, tags); err != nil {
		return err
	}
	said := &heard{w: job.Log}
	err := c.run(ctx, said, append(buildFlags(tags), "-o", out, main)...)
	if err != nil && ctx.Err() == nil && job.runsCUDA(tags) && !c.lists(ctx, path.Join("cuda", "driver"), tags) {
		if without := append(slices.Clone(tags), withoutCUDA); c.lists(ctx, path.Join("runtime", "trainer"), without) {
			job.say("cuda: left out: the go command cannot get a module that it needs, see above")
			tags = without
			err = c.run(ctx, said, append(buildFlags(tags), "-o", out, main)...)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && said.full():
		return fmt.Errorf("go build: %w: it needs room for %s, and in the directories of `go env GOCACHE GOTMPDIR`", syscall.ENOSPC, job.Out)
	case err != nil && !c.lists(ctx, path.Join("runtime", "trainer"), tags):
		// The fault is the machine's, not that of the emitted code.
		return ErrUnready
	case err != nil:
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// heard passes on what the go command says, and keeps it.
type heard struct {
	w    io.Writer // nil: it is kept alone
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.text.Write(b)
	if h.w == nil {
		return len(b), nil
	}
	return h.w.Write(b)
}

// full reports whether the disk was: the go command tells it in words alone.
func (h *heard) full() bool { return strings.Contains(h.text.String(), syscall.ENOSPC.Error()) }

func buildFlags(tags []string) []string {
	flags := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}
	if len(tags) > 0 {
		flags = append(flags, "-tags", strings.Join(tags, ","))
	}
	return flags
}

// lists reports whether everything that a package imports can be had.
func (c compiler) lists(ctx context.Context, pkg string, tags []string) bool {
	return c.run(ctx, nil, "list", "-deps", "-tags", strings.Join(tags, ","), "./"+pkg) == nil
}

func (c compiler) run(ctx context.Context, log io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Dir, cmd.Env = c.Dir, c.env
	cmd.Stderr = log
	if args[0] == "build" {
		cmd.Stdout = log
	}
	// The go command removes its own temporary files when it is asked to stop.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}

// emit writes the package into the workspace and returns the import path of
// its main.
func (w *Workspace) emit(job Job) (main string, err error) {
	relative := strings.TrimPrefix(job.ImportPath, Module+"/")
	for _, f := range job.Files {
		if err := write(w.Dir, ir.File{Path: path.Join(relative, f.Path), Content: f.Content}); err != nil {
			return "", err
		}
		if path.Base(f.Path) == "main.go" {
			main = path.Join(job.ImportPath, path.Dir(f.Path))
		}
	}
	// The directory's time says when the trainer was last built.
	now := time.Now()
	return main, os.Chtimes(filepath.Join(w.Dir, filepath.FromSlash(relative)), now, now)
}

// replaceable refuses a path that a binary must not take.
func replaceable(out string) error {
	info, err := os.Lstat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return &NotOurs{out, "is a directory"}
	case !info.Mode().IsRegular():
		return &NotOurs{out, "is no regular file"}
	}
	built, err := buildinfo.ReadFile(out)
	if err != nil || built.Main.Path != Module || !strings.HasPrefix(built.Path, path.Join(Module, trainersDir)+"/") {
		return &NotOurs{out, "is not a trainer that dnngen built"}
	}
	return nil
}

// environment is that of the go command: the user's, without what would change
// how the workspace is built.
func environment(host bool) []string {
	set := []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "GO111MODULE=on"}
	if host {
		set = append(set, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	}
	var drop []string
	for _, v := range set {
		name, _, _ := strings.Cut(v, "=")
		drop = append(drop, name)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(drop, name)
	})
	return append(env, set...)
}
