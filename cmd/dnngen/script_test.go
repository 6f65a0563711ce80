package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/internal/golden"
)

// TestMain lets scripts and tests run the command: this binary is dnngen when
// it is called so.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dnngen": main})
}

// TestScripts runs the scripts of testdata/script. Each begins in an empty
// directory outside any Go module. Builds are offline.
func TestScripts(t *testing.T) {
	env := buildEnv(t)
	root := golden.Root(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			e.Setenv("ROOT", root)
			// Where PATH is changed, the command's own path.
			name, err := exec.LookPath("dnngen")
			if err != nil {
				return err
			}
			e.Setenv("DNNGEN", name)
			// Whether kernels are compiled does not depend on what is installed.
			e.Setenv(toolchain.Variable, "none")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "grow": grow},
	})
}

// exits runs a program and requires its exit status: `exits 3 dnngen check
// bad.yaml`.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARGUMENT]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// grow repeats the last line of a file until it has more than so many bytes:
// `grow rows.csv 1000`.
func grow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: grow FILE BYTES")
	}
	text := ts.ReadFile(args[0])
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	last := text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:]
	text += strings.Repeat(last, size/len(last)+1)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// buildEnv is what a build needs of the environment: the caches of this
// machine, no network, and a home that the scripts share, where the trainers'
// sources are extracted once.
func buildEnv(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOROOT"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	env := []string{
		"HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "LocalAppData=" + home,
		"GOPROXY=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "NO_COLOR=",
	}
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+strings.TrimSpace(value))
	}
	return env
}
