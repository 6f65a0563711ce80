// Package headers compares what packages here know of NVIDIA's libraries with
// NVIDIA's own headers, where these are installed: functions, constants and
// structures become C text, which a compiler accepts only where all is as the
// header has it. Tests use it.
package headers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
)

// Find returns the directories of headers in the first place that has all of the
// named ones: a toolkit, or a Python environment with NVIDIA's packages. Where none
// has, or there is no C compiler, the test is skipped.
func Find(t testing.TB, names ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skipf("NOTICE: no C compiler (cc), so nothing is compared with %s", names[0])
	}
	for _, place := range append(dynamic.Places("include", "include"), "/usr/local/cuda/include", "/opt/cuda/include", "/usr/include") {
		dirs, _ := filepath.Glob(place)
		lacks := func(name string) bool {
			return !slices.ContainsFunc(dirs, func(dir string) bool {
				_, err := os.Stat(filepath.Join(dir, name))
				return err == nil
			})
		}
		if !slices.ContainsFunc(names, lacks) {
			return dirs
		}
	}
	t.Skipf("NOTICE: nothing is compared with NVIDIA's %s: %s not installed", names[0], strings.Join(names, ", "))
	return nil
}

// Functions asks for functions that give a result and take what is said. C refuses
// to have a function declared again with other types.
func Functions(result string, list ...dynamic.Function) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "_Static_assert(sizeof(&%s) > 0, \"it is there\");\n%s %s;\n", f.Name(), result, f)
	}
	return b.String()
}

// named finds a number in a line of Go, and the C name that it has by the comment
// behind it.
var named = regexp.MustCompile(`(?m)^[^/\n]*?\b(\d+)\b.*// ([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)$`)

// Constants asks for the numbers of Go text whose C names, by the comments behind
// them, begin with one of the prefixes.
func Constants(text string, prefixes ...string) string {
	var b strings.Builder
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		for _, p := range prefixes {
			if strings.HasPrefix(m[2], p) {
				b.WriteString(Equal(m[2], m[1]))
			}
		}
	}
	return b.String()
}

// Equal asks for two C expressions to be the same number.
func Equal(expression string, value any) string {
	return fmt.Sprintf("_Static_assert((%s) == (%v), \"not %v\");\n", expression, value, value)
}

// Refused compiles C text with the headers of directories, and returns what the
// compiler says against it, "" where it accepts it.
func Refused(t testing.TB, dirs []string, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check.c")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-std=c11", "-fsyntax-only"}
	for _, dir := range dirs {
		args = append(args, "-isystem", dir)
	}
	out, err := exec.Command("cc", append(args, file)...).CombinedOutput()
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%v\n%s", err, out)
}
