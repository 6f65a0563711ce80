package internal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// policy says who may import whom. "a, b < c" lets c import a and b, and all
// that these may import; "a < b < c" is "a < b; b < c". A name that ends in
// "..." stands for all packages below it. The root package is ".". Every
// package of the module must be named: a new package gets its line here, and
// with it its place in the house.
const policy = `
# The language, the program, and its interpreter.
internal/expr < internal/op, internal/ir;
internal/op, runtime/wording < spec;
internal/ir < internal/ir/eval;
spec, internal/op, internal/ir < gen/lower;

# The emitters: from a program to files.
internal/ir, internal/expr < gen/golang;
NONE < asm/vec;
asm/vec, internal/expr < asm/vmath < asm/kernel;
internal/ir, asm/kernel, runtime/pool < asm/plan;
asm/plan, runtime/wording < asm/driver < asm;
NONE < asm/vec/internal/..., asm/vmath/internal/...;
asm/vec < asm/internal/peak;
internal/ir, internal/expr < cuda/plan;
cuda/plan, templates < cuda;
NONE < templates;
runtime/fsys < cuda/toolchain;

# The pipeline, what writes its files, and the command.
internal/ir, internal/expr, runtime/wording < gen/summary;
spec, gen/lower, gen/golang, gen/summary, asm, cuda < gen;
NONE < .;
internal/ir, runtime/fsys < internal/output;
., internal/ir, runtime/engine, runtime/fsys, runtime/trainer, cuda/toolchain < internal/workspace;
gen/lower, internal/ir/eval, runtime/data, runtime/device, runtime/safetensors < internal/verify;
spec, gen, templates, internal/output, internal/workspace, internal/verify, bench/compare, runtime/data, runtime/engine, runtime/device, runtime/fsys, runtime/progress, cuda/toolchain < cmd/dnngen;

# The trainer: the seam, files and formats, the loop, the command line.
NONE < runtime/engine, runtime/fsys, runtime/half, runtime/chart, runtime/progress;
runtime/half < runtime/npy;
NONE < runtime/arena, runtime/pool, runtime/scalar, runtime/simd, runtime/wording;
runtime/fsys < runtime/fsys/faultfs;
runtime/fsys, runtime/half < runtime/safetensors;
runtime/engine < runtime/device, runtime/gather;
runtime/engine, runtime/fsys, runtime/npy, runtime/wording < runtime/data;
runtime/engine, runtime/data, runtime/gather < runtime/loop;
runtime/engine, runtime/data < runtime/metric;
runtime/data, runtime/safetensors < runtime/modelfile;
runtime/device, runtime/loop, runtime/metric, runtime/modelfile < runtime/model;
runtime/loop, runtime/metric, runtime/modelfile < runtime/rundir;
runtime/engine, runtime/simd, runtime/wording < runtime/bench;
runtime/bench, runtime/chart, runtime/device, runtime/pool, runtime/progress, runtime/rundir < runtime/trainer;
runtime/engine, runtime/gather < runtime/internal/testnet;
runtime/internal/testnet, runtime/trainer < runtime/internal/testtrainer;
NONE < cuda/internal/dynamic;
cuda/internal/dynamic < cuda/driver < cuda/cublaslt;
cuda/cublaslt, runtime/engine, runtime/fsys, runtime/gather, runtime/half < cuda/host;
runtime/trainer, runtime/model, runtime/arena, runtime/pool, runtime/scalar, runtime/simd, cuda/host < generated/...;

# Examples draw pictures; benchmarks compare everything with everything.
NONE < examples/..., generated;
gen, cmd/dnngen, internal/ir/eval, runtime/trainer, generated/... < bench/...;
spec, runtime/engine, runtime/scalar < bench/autograd;
NONE < bench/bars;
runtime/bench, runtime/npy, runtime/safetensors < bench/problem;
runtime/bench, runtime/fsys < bench/lab;
gen, runtime/device, bench/autograd, bench/bars, bench/lab, bench/problem < bench/compare;

# What only tests import, and what they are.
NONE < internal;
runtime/engine < internal/engines;
internal/golden < internal/scratch;
NONE < asm/internal/emulate;
asm/internal/emulate, internal/engines, runtime/simd < asm/internal/runner;
runtime/simd < asm/internal/ran;
cuda, internal/nettest, internal/golden < cuda/internal/emulator;
internal/engines < cuda/internal/runner;
cuda/internal/dynamic < cuda/internal/headers;
spec, internal/ir/eval < internal/nettest;
spec, runtime/npy, runtime/safetensors < internal/golden;
NONE < internal/fakecuda;
`

// never lists what must not be reached, however long the way: a trainer builds
// without the compiler, and an emitter knows neither the spec nor another.
const never = `
runtime/..., cuda/driver, cuda/cublaslt, cuda/host, generated/... -> ., spec, gen, gen/..., internal/..., asm, asm/..., cuda;
internal/expr, internal/op, internal/ir, internal/ir/eval -> spec;
gen/golang, asm, asm/..., cuda, cuda/plan -> spec, gen/lower, internal/op;
gen/golang -> asm, asm/..., cuda;
asm, asm/... -> gen, gen/..., cuda;
cuda, cuda/plan -> gen, gen/..., asm, asm/...;
`

// heavy lists packages of other modules that what a trainer links must not
// reach: they cost megabytes, or do what a trainer never does.
const heavy = `
runtime/..., cuda/driver, cuda/cublaslt, cuda/host, generated/... -> net/http, os/exec, encoding/gob, text/template, html/template, plugin, gonum.org/...;
`

// pure lists packages that neither touch the disk nor know the time nor draw
// random numbers: the same spec gives the same bytes.
const pure = `
spec, gen, gen/lower, gen/golang, asm, asm/plan, asm/kernel, asm/vmath, asm/vec, cuda, cuda/plan, internal/expr, internal/op, internal/ir, internal/ir/eval
-> os, os/exec, net, net/http, time, math/rand, math/rand/v2;
`

const module = "github.com/dnngen/dnngen"

// listed is what go list tells of a package.
type listed struct {
	ImportPath    string
	Doc           string
	GoFiles       []string
	Imports, Deps []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Doc,GoFiles,Imports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
}

// short returns a package's name in the policy, "" for one of another module.
func short(path string) string {
	if path == module {
		return "."
	}
	name, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return name
}

// matches reports whether a name of the policy stands for a package.
func matches(name, pkg string) bool {
	if below, ok := strings.CutSuffix(name, "..."); ok {
		return strings.HasPrefix(pkg, below)
	}
	return name == pkg
}

// dag maps each name to those that it may import directly.
type dag map[string][]string

func parsePolicy(text string) (dag, error) {
	d := dag{}
	for _, statement := range strings.Split(withoutComments(text), ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		groups := strings.Split(statement, "<")
		if len(groups) < 2 {
			return nil, fmt.Errorf("no < in %q", statement)
		}
		for i, group := range groups[1:] {
			from := names(groups[i])
			for _, name := range names(group) {
				if d[name] == nil {
					d[name] = []string{}
				}
				d[name] = append(d[name], from...)
			}
		}
	}
	for name, from := range d {
		for _, f := range from {
			if d[f] == nil && f != "internal/expr" {
				return nil, fmt.Errorf("%s may import %s, which has no line", name, f)
			}
		}
	}
	d["internal/expr"] = []string{}
	return d, nil
}

func withoutComments(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func names(group string) (list []string) {
	for _, name := range strings.Split(group, ",") {
		if name = strings.TrimSpace(name); name != "NONE" {
			list = append(list, name)
		}
	}
	return list
}

// reach returns everything that a name may import; ok is false where the
// policy runs in a circle.
func (d dag) reach(name string) (all map[string]bool, ok bool) {
	all, open := map[string]bool{}, map[string]bool{}
	var visit func(string) bool
	visit = func(n string) bool {
		if open[n] {
			return false
		}
		if all[n] {
			return true
		}
		open[n] = true
		defer delete(open, n)
		for _, f := range d[n] {
			if !visit(f) {
				return false
			}
			all[f] = true
		}
		return true
	}
	ok = visit(name)
	return all, ok
}

// nameOf returns the policy's name of a package: its own, or the longest
// pattern that it lies below.
func (d dag) nameOf(pkg string) (name string, ok bool) {
	for n := range d {
		if matches(n, pkg) && (!ok || len(n) > len(name)) {
			name, ok = n, true
		}
		if n == pkg {
			return n, true
		}
	}
	return name, ok
}

// check returns what is wrong with the imports of a package.
func (d dag) check(pkg string, imports []string) (problems []string) {
	name, ok := d.nameOf(pkg)
	if !ok {
		return []string{pkg + " has no line in the policy: say what it may import"}
	}
	may, _ := d.reach(name)
	for _, path := range imports {
		used := short(path)
		if used == "" {
			continue
		}
		// What lies below one pattern belongs together: a main and its package.
		if n, ok := d.nameOf(used); !ok || n != name && !may[n] {
			problems = append(problems, fmt.Sprintf("%s must not import %s", pkg, used))
		}
	}
	return problems
}

// forbidden returns the problems of a package by rules "a, b -> c, d", where c
// and d are packages of this module if own is set, and others if not.
func forbidden(rules string, own bool, pkg string, reached []string) (problems []string) {
	for _, statement := range strings.Split(rules, ";") {
		who, what, ok := strings.Cut(statement, "->")
		if !ok || !slices.ContainsFunc(names(who), func(n string) bool { return matches(n, pkg) }) {
			continue
		}
		for _, path := range reached {
			name := short(path)
			if (name != "") != own {
				continue
			}
			if !own {
				name = path
			}
			if slices.ContainsFunc(names(what), func(n string) bool { return matches(n, name) }) {
				problems = append(problems, fmt.Sprintf("%s reaches %s", pkg, name))
			}
		}
	}
	return problems
}

func TestImports(t *testing.T) {
	d, err := parsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	for name := range d {
		if _, ok := d.reach(name); !ok {
			t.Errorf("the policy lets %s import itself", name)
		}
	}
	for _, p := range packages(t) {
		pkg := short(p.ImportPath)
		problems := d.check(pkg, p.Imports)
		problems = append(problems, forbidden(never, true, pkg, p.Deps)...)
		problems = append(problems, forbidden(heavy, false, pkg, p.Deps)...)
		problems = append(problems, forbidden(pure, false, pkg, p.Imports)...)
		for _, problem := range problems {
			t.Error(problem)
		}
	}
}

// TestExprNeedsTheStandardLibraryOnly, as the architecture promises.
func TestExprNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range packages(t) {
		if short(p.ImportPath) != "internal/expr" {
			continue
		}
		for _, path := range p.Deps {
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("internal/expr reaches %s", path)
			}
		}
	}
}

func TestPackagesHaveDocs(t *testing.T) {
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.Doc, "Package ") && !strings.HasPrefix(p.Doc, "Command ") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestPolicyBites plants imports that the policy forbids.
func TestPolicyBites(t *testing.T) {
	d, err := parsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		pkg, imported string
		allowed       bool
	}{
		{"spec", "internal/op", true}, {"gen/lower", "internal/expr", true}, {"gen", "spec", true},
		{"cmd/dnngen", "runtime/data", true}, {"generated/digits", "runtime/engine", true}, {"bench/peers", "gen/lower", true},
		{"internal/expr", "internal/op", false}, {"internal/ir", "spec", false}, {"internal/op", "spec", false},
		{"gen/golang", "spec", false}, {"gen/golang", "internal/op", false}, {"gen/golang", "asm", false},
		{"asm", "cuda", false}, {"asm/kernel", "spec", false}, {"cuda", "asm", false}, {"runtime/loop", "spec", false},
		{"runtime/loop", "internal/op", false}, {"generated/digits", "internal/ir", false}, {"spec", "gen", false},
		{"runtime/engine", "runtime/loop", false}, {"internal/brandnew", "internal/expr", false},
	} {
		if got := len(d.check(test.pkg, []string{module + "/" + test.imported})) == 0; got != test.allowed {
			t.Errorf("%s imports %s: allowed %t, want %t", test.pkg, test.imported, got, test.allowed)
		}
	}
	for pkg, path := range map[string]string{
		"runtime/trainer": module + "/internal/ir", "generated/digits": module + "/gen/lower", "cuda/driver": module + "/spec",
		"gen/golang": module + "/asm/vec", "asm/kernel": module + "/spec", "cuda": module + "/gen/golang",
	} {
		if len(forbidden(never, true, pkg, []string{path})) == 0 {
			t.Errorf("%s may reach %s", pkg, path)
		}
	}
	if len(forbidden(heavy, false, "runtime/data", []string{"net/http"})) == 0 {
		t.Error("a trainer may link net/http")
	}
	if len(forbidden(pure, false, "gen", []string{"os"})) == 0 {
		t.Error("gen may touch the disk")
	}
	for _, text := range []string{"a, b;", "NONE < a; missing < a;"} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("the policy %q is accepted", text)
		}
	}
	circle, err := parsePolicy("b < a < b;")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := circle.reach("a"); ok {
		t.Error("a circle goes unnoticed")
	}
}
