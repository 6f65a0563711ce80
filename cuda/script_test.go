//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/internal/golden"
)

// script runs bench/gpu.sh with a prepared directory whose one network is trained
// on a driver that is not there, and with programs that stand for the others: what
// is tested is that all is asked and told.
type script struct {
	root, dir, results string
	env                []string
}

func newScript(t *testing.T) *script {
	t.Helper()
	g := newGPUTrainer(t)
	s := &script{root: golden.Root(t), dir: t.TempDir(), results: filepath.Join(t.TempDir(), "gpu.json")}
	tools := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(s.dir, "gpu"), "./bench/gpu")
	cmd.Dir = s.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		filepath.Join(s.dir, "digits.yaml"):   digits,
		filepath.Join(s.dir, "prepared.json"): `{"commit": "abc", "networks": [{"name": "digits", "spec": "` + s.dir + `/digits.yaml", "precisions": ["fp32"], "reach_seconds": 1e-9}]}`,
		// It fails where BROKEN is in what it is asked for, and has no tensor cores for tf32.
		filepath.Join(s.dir, "cuda.test"): `#!/bin/sh
case "$2 $CUDA_WRAPPER" in *"${BROKEN:-nothing}"*) echo "--- FAIL: TestGPU"; exit 1;; esac
case "$2" in *tf32*) printf '    gpu_test.go:1: no tensor cores\n--- SKIP: TestGPU (0.00s)\n'; exit;; esac
printf '    --- PASS: TestGPU/fp32 (0.00s)\n        --- PASS: TestGPU/fp32/case0 (0.00s)\n        --- PASS: TestGPU/fp32/net0 (0.00s)\n'
`,
		filepath.Join(tools, "nvidia-smi"):        "#!/bin/sh\necho 'Fake GPU, 1.2.3'\n",
		filepath.Join(tools, "compute-sanitizer"): "#!/bin/sh\n",
		// The trainer itself answers for PyTorch, which cannot compile here.
		filepath.Join(tools, "python"): `#!/bin/sh
test "$2 $3 $4" != "compile cuda fp32" || { echo "no Triton" >&2; exit 1; }
sed -u "s/\"device\":\"[^\"]*\"/\"device\":\"cpu:go\"/;$PEER_EDIT" | ` + s.dir + `/digits bench --drive --data random
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(g.binary, filepath.Join(s.dir, "digits")); err != nil {
		t.Fatal(err)
	}
	s.env = append(g.env, "PATH="+tools+":"+os.Getenv("PATH"), "PEER_PYTHON="+filepath.Join(tools, "python"), "RESULTS="+s.results, "SECONDS_EACH=0.3")
	return s
}

func (s *script) command(env []string, parts ...string) *exec.Cmd {
	cmd := exec.Command("sh", append([]string{"bench/gpu.sh", s.dir}, parts...)...)
	cmd.Dir, cmd.Env = s.root, append(s.env, env...)
	return cmd
}

// run wants an exit status, and texts in what is told, written as expressions.
func (s *script) run(t *testing.T, status int, env, parts []string, texts ...string) {
	t.Helper()
	out, err := s.command(env, parts...).CombinedOutput()
	if code := exitCode(err); code != status {
		t.Fatalf("%v %v: exit status %d, want %d\n%s", env, parts, code, status, out)
	}
	for _, text := range texts {
		if !regexp.MustCompile(text).Match(out) {
			t.Errorf("%v %v: lacks %s:\n%s", env, parts, text, out)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// TestGPUScript: every part has its row, failures are told and kept, and nothing
// is done twice.
func TestGPUScript(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.run(t, 7, []string{"FAKECUDA=init_code=100"}, nil, "no GPU that dnngen can use")
	s.run(t, 2, nil, []string{"gold"}, `no part "gold"; there are golden:fp32, .*, time:digits:fp32, sanitizer:memcheck`)
	s.run(t, 3, []string{"LIMIT=1ns"}, nil, `\| golden:fp32 \| left out`, `\| time:digits:fp32 \| left out`, `\| sanitizer:synccheck \| left out`)
	if _, err := os.Stat(s.results); err == nil {
		t.Error("results are written, and nothing was timed")
	}
	const times = `(\| [0-9.]+ .?s )`
	row := `\| 64-12-10 relu cross_entropy, batch 64 \| fp32 ` + times + times + `\| - ` + times + times + `\| [0-9.]+× \| ≤ 1.00 ns \| no \|`
	s.run(t, 0, nil, nil, "Fake GPU, driver 1.2.3; .* commit abc", row, `\| golden:bf16 \| passed: 2 networks \|`,
		`\| golden:tf32 \| skipped: no tensor cores \|`, `\| time:digits:fp32 \| passed: the losses of \d+ steps agree \|`,
		`\| sanitizer:racecheck \| passed`, "- time:digits:fp32, PyTorch torch.compile: no Triton")
	text, err := os.ReadFile(s.results)
	if err != nil || !bytes.Contains(text, []byte(`"gpu": "Fake GPU"`)) {
		t.Errorf("%v: %s", err, text)
	}
	// What is done is not done again; what was skipped is tried again.
	out, err := s.command([]string{"BROKEN=fp16"}).CombinedOutput()
	if got := strings.Join(regexp.MustCompile(`running: .*`).FindAllString(string(out), -1), ", "); err != nil || got != "running: golden:tf32" {
		t.Errorf("again: %v, %s", err, got)
	}
	s.run(t, 1, []string{"BROKEN=fp16$"}, []string{"golden:fp16"}, `\| golden:fp16 \| FAILED: exit status 1, see `, row, `golden:fp16 failed`)
	s.run(t, 1, []string{"BROKEN=--tool racecheck"}, []string{"sanitizer"}, `\| sanitizer:memcheck \| passed`, `\| sanitizer:racecheck \| FAILED`)
	s.run(t, 0, nil, []string{"golden", "sanitizer"}, row)
	s.run(t, 1, []string{`PEER_EDIT=s/"rows":64/"rows":32/`}, []string{"time:digits"}, `FAILED: PyTorch eager computes something else`)
	s.run(t, 1, []string{"FAKECUDA=lost_at=60"}, []string{"time"}, `FAILED: .*CUDA error 700`)
	s.run(t, 0, []string{"PEER_PYTHON=/nowhere/python"}, []string{"time"}, `\| - \| - \| - \| - \| - \| ≤ 1.00 ns \| no \|`, "- time:digits:fp32, PyTorch eager: .*/nowhere/python")
	s.run(t, 1, []string{"PATH=" + os.Getenv("PATH")}, []string{"golden"}, `results.json is of Fake GPU, `)
}

// TestGPUScriptInterrupted: Ctrl-C ends it, with all that it started.
func TestGPUScriptInterrupted(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	cmd := s.command([]string{"SECONDS_EACH=100"}, "time")
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	for lines.Scan() && lines.Text() != "running: time:digits:fp32" {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, told) // until nobody writes any more
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit status %d", code)
	}
}

// TestGPUScriptIsPrepared: what is to be done first is said.
func TestGPUScriptIsPrepared(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		args []string
		text string
	}{
		{nil, "bench/gpu.sh DIR prepare"},
		{[]string{"--help"}, "The exit status is 0"},
		{[]string{t.TempDir()}, "not prepared, which needs Go"},
	} {
		cmd := exec.Command(sh, append([]string{filepath.Join(golden.Root(t), "bench", "gpu.sh")}, test.args...)...)
		cmd.Env = []string{"PATH=/nowhere:" + coreutils(t)}
		out, err := cmd.CombinedOutput()
		if exitCode(err) != 2 || !bytes.Contains(out, []byte(test.text)) {
			t.Errorf("%q: %v\n%s", test.args, err, out)
		}
	}
}

// coreutils is a directory with the programs that the script needs, and no Go.
func coreutils(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"dirname", "mkdir", "sed"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
