package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Usage is what a kernel takes of a GPU, as its assembler says.
type Usage struct {
	Kernel    string
	Registers int // of a thread
	Shared    int // bytes of a block, without those that a launch asks for
	Stack     int // bytes of a thread
	Spilled   int // bytes of a thread that are stored because registers ran out
	Barriers  int
}

// ErrNoAssembler says that there is no machine code to be had for an architecture.
var ErrNoAssembler = errors.New("there is neither nvcc, nor clang 19 or newer with ptxas, that knows it")

// Archs lists the architectures that there is machine code for: 80 for sm_80.
func (t *Toolchain) Archs() (list []int) {
	for _, a := range archs {
		if _, ok := t.cubin(a.number); ok {
			list = append(list, a.number)
		}
	}
	return list
}

// cubin is how machine code for an architecture is made.
func (t *Toolchain) cubin(sm int) (image, bool) {
	name := fmt.Sprintf(".sm_%d.cubin", sm)
	for _, images := range t.images("") {
		if i := slices.IndexFunc(images, func(i image) bool { return i.name == name }); i >= 0 {
			return images[i], true
		}
	}
	return image{}, false
}

// Usage compiles a source to machine code for an architecture, as Compile does,
// and returns the image, what each kernel takes, and the warnings.
func (t *Toolchain) Usage(ctx context.Context, source []byte, sm int) (cubin []byte, list []Usage, warnings []string, err error) {
	made, ok := t.cubin(sm)
	if !ok {
		return nil, nil, nil, fmt.Errorf("sm_%d: %w", sm, ErrNoAssembler)
	}
	last := &made.steps[len(made.steps)-1]
	verbose := []string{"-v"}
	if last.tool == t.Nvcc {
		verbose = []string{"-Xptxas", "-v"}
	}
	last.args = append(verbose, last.args...)
	dir, err := os.MkdirTemp("", "dnngen-cuda-")
	if err != nil {
		return nil, nil, nil, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "kernels.cu"), filepath.Join(dir, "kernels.cubin")
	if err := fsys.WriteAtomic(fsys.OS(), in, func(w io.Writer) error { _, err := w.Write(source); return err }); err != nil {
		return nil, nil, nil, err
	}
	said, err := made.make(ctx, in, out)
	if err != nil {
		return nil, nil, nil, err
	}
	if cubin, err = fsys.ReadFile(fsys.OS(), out); err != nil {
		return nil, nil, nil, err
	}
	list, warnings = readUsage(said)
	return cubin, list, warnings, nil
}

// What ptxas -v says of a kernel, in this order: its name, its stack, the rest.
var (
	saidKernel  = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	saidStack   = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores`)
	saidNumbers = regexp.MustCompile(`Used (\d+) registers`)
	saidShared  = regexp.MustCompile(`(\d+) bytes smem`)
	saidBarrier = regexp.MustCompile(`used (\d+) barriers`)
)

// readUsage reads what ptxas said.
func readUsage(said string) (list []Usage, warnings []string) {
	var u Usage
	number := func(what *regexp.Regexp, line string, group int) int {
		m := what.FindStringSubmatch(line)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[group])
		return n
	}
	for line := range bytes.Lines([]byte(said)) {
		line := strings.TrimSpace(string(line))
		if m := saidKernel.FindStringSubmatch(line); m != nil {
			u = Usage{Kernel: m[1]}
		}
		if saidStack.MatchString(line) {
			u.Stack, u.Spilled = number(saidStack, line, 1), number(saidStack, line, 2)
		}
		if saidNumbers.MatchString(line) {
			u.Registers, u.Shared, u.Barriers = number(saidNumbers, line, 1), number(saidShared, line, 1), number(saidBarrier, line, 1)
			list = append(list, u)
		}
		if strings.Contains(strings.ToLower(line), "warning") {
			warnings = append(warnings, line)
		}
	}
	return list, warnings
}
