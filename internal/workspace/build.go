package workspace

import (
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
	Out        string    // binary to write
	Host       bool      // for this machine, whatever GOOS and GOARCH say
	Log        io.Writer // what the go command says
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
	if err := replaceable(out); err != nil {
		return err
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
	temp := fmt.Sprintf("%s.tmp-%d", out, os.Getpid())
	cmd := exec.CommandContext(ctx, goCommand, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", temp, main)
	cmd.Dir = w.Dir
	cmd.Env = environment(job.Host)
	cmd.Stdout, cmd.Stderr = job.Log, job.Log
	// The go command removes its own temporary files when it is asked to stop.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if err != nil {
		err = w.diagnose(ctx, cmd, err)
	} else {
		err = disk.Rename(temp, out)
	}
	if err != nil {
		// The first error is the one that tells what is wrong.
		_ = disk.Remove(temp)
		return err
	}
	return nil
}

// diagnose says whether a failed build is the fault of the machine or of the
// emitted code.
func (w *Workspace) diagnose(ctx context.Context, build *exec.Cmd, err error) error {
	list := exec.CommandContext(ctx, build.Path, "list", "-deps", "./"+path.Join("runtime", "trainer"))
	list.Dir, list.Env = build.Dir, build.Env
	if list.Run() != nil {
		return ErrUnready
	}
	return fmt.Errorf("go build: %w", err)
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
