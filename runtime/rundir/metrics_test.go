package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
)

func content(t *testing.T, d *Dir) string {
	t.Helper()
	b, err := readFile(d.fs, d.file(MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func metrics(t *testing.T, d *Dir, size int64) *Metrics {
	t.Helper()
	m, _, err := d.Metrics(size)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStepLine(t *testing.T) {
	line := AppendStep(nil, loop.Step{Step: 12, Epoch: 3, Rows: 9, Loss: 1.0 / 3, LR: 1e-7})
	if got, want := string(line), `{"event":"step","step":12,"epoch":3,"loss":0.3333333333333333,"lr":1e-07}`+"\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	var back struct{ Loss float64 }
	if err := json.Unmarshal(line, &back); err != nil || back.Loss != 1.0/3 {
		t.Errorf("read back %v, %v", back.Loss, err)
	}
	buf := make([]byte, 0, 256)
	if a := testing.AllocsPerRun(50, func() { AppendStep(buf, loop.Step{Loss: 0.123456789, LR: 0.1}) }); a != 0 {
		t.Errorf("%v allocations a line", a)
	}
}

func TestMetricsAreCutBack(t *testing.T) {
	d := onDisk(t, faultfs.NewDisk(), spec)
	m := metrics(t, d, 0)
	var at [10]int64
	for i := range at {
		if err := m.Step(loop.Step{Step: int64(i)}); err != nil {
			t.Fatal(err)
		}
		size, err := m.Sync()
		if err != nil {
			t.Fatal(err)
		}
		at[i] = size
	}
	if err := m.Append([]byte(`{"torn`)); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	all := content(t, d)
	for i := len(at) - 1; i >= 0; i-- {
		if err := metrics(t, d, at[i]).Close(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, d); got != all[:at[i]] {
			t.Fatalf("cut back to line %d:\n%s", i, got)
		}
	}
	if err := metrics(t, d, 0).Close(); err != nil || content(t, d) != "" {
		t.Errorf("started anew: %q, %v", content(t, d), err)
	}
}

// A metrics file that someone shortened or removed is no reason to fail, but
// what is left must be whole lines.
func TestMetricsThatWereShortened(t *testing.T) {
	for text, want := range map[string]string{
		"{1}\n{2}\n{3":                     "{1}\n{2}\n",
		"{1}":                              "",
		"":                                 "",
		strings.Repeat("x", 100_000):       "",
		strings.Repeat("x", 70_000) + "\n": strings.Repeat("x", 70_000) + "\n",
	} {
		d := onDisk(t, faultfs.NewDisk(), spec)
		if err := d.Write(MetricsFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		m, have, err := d.Metrics(1_000_000)
		if err != nil || have != int64(len(want)) {
			t.Errorf("%.20q: %d bytes left, %v", text, have, err)
			continue
		}
		if err := errors.Join(m.Append([]byte("{4}\n")), m.Close()); err != nil {
			t.Error(err)
		}
		if got := content(t, d); got != want+"{4}\n" {
			t.Errorf("%.20q became %.20q", text, got)
		}
	}
	d := onDisk(t, faultfs.NewDisk(), spec)
	if _, have, err := d.Metrics(5); err != nil || have != 0 {
		t.Errorf("no file at all: %d bytes, %v", have, err)
	}
}

// A full disk leaves whole lines, and what could not be written is not lost
// when there is room again.
func TestMetricsOnAFullDisk(t *testing.T) {
	disk := faultfs.NewDisk()
	d := onDisk(t, disk, spec)
	first := metrics(t, d, 0)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	f := faultfs.Wrap(disk)
	d = &Dir{fs: f, path: "run"}
	m := metrics(t, d, 0)
	// The next call is the write.
	full := len(f.Calls()) + 1
	f = faultfs.Wrap(disk, faultfs.Fault{At: full, Err: errors.New("no space"), Torn: true})
	d = &Dir{fs: f, path: "run"}
	if m.Close() != nil {
		t.Fatal("close")
	}
	m = metrics(t, d, 0)
	for i := range 5 {
		if err := m.Append(fmt.Appendf(nil, "{%d}\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	if m.Flush() == nil {
		t.Fatal("a full disk: no error")
	}
	if got := content(t, d); got != "{0}\n{1}\n" {
		t.Errorf("on the full disk: %q", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d); got != "{0}\n{1}\n{2}\n{3}\n{4}\n" {
		t.Errorf("with room again: %q", got)
	}
}

func TestReplay(t *testing.T) {
	d := onDisk(t, faultfs.NewDisk(), spec)
	m := metrics(t, d, 0)
	accuracy := metric.Number(0.5)
	epoch, err := json.Marshal(EpochLine{Event: "epoch", Epoch: 1, Step: 8, TrainLoss: 0.25, Test: &metric.Report{Rows: 3, Loss: 2, Accuracy: &accuracy}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		string(AppendStep(nil, loop.Step{Step: 7, Epoch: 1, Loss: 3, LR: 0.5})), string(epoch) + "\n", "not JSON\n", `{"event":"other"}` + "\n",
	} {
		if err := m.Append([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	log := ""
	err = d.Replay(
		func(s loop.Step) { log += fmt.Sprintf("%+v\n", s) },
		func(e EpochLine) {
			log += fmt.Sprintf("epoch %d at %d: %v, test %v %v\n", e.Epoch, e.Step, e.TrainLoss, e.Test.Loss, *e.Test.Accuracy)
		})
	want := "{Step:7 Epoch:1 Rows:0 Loss:3 LR:0.5}\nepoch 1 at 8: 0.25, test 2 0.5\n"
	if err != nil || log != want {
		t.Errorf("got %q, %v, want %q", log, err, want)
	}
}
